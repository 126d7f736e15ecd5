//go:build e2e

package scenario

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/config/samples"
	"slipway.dev/slipway/local/gitserver"
)

// TestStory is the README's walk-through on stock KubeVirt: a push boots a guest that answers SSH.
func TestStory(t *testing.T) {
	p := newPlatform(t)
	p.install(t)
	p.tenant(t)
	p.follow(t, p.serveGit(t, p.serveImage(t)))
	for _, step := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"a guest booted from Git with its user data applied", func(t *testing.T) {
			p.healthy(t)
			if got, want := p.guest(t, "cat /data/hello"), "Hello from Git"; got != want {
				t.Errorf("first boot wrote %q, want %q", got, want)
			}
			p.guest(t, "echo precious > /data/precious && sync")
		}},
	} {
		if !t.Run(step.name, step.run) {
			return
		}
	}
}

// serveImage serves the sample image where pods reach it.
func (p *platform) serveImage(t *testing.T) samples.Demo {
	t.Helper()
	path := os.Getenv("SLIPWAY_SAMPLE_IMAGE")
	if path == "" {
		t.Fatal("SLIPWAY_SAMPLE_IMAGE is not set; run these tests with `make e2e-engine`")
	}
	content, err := os.ReadFile(path)
	must(t, err)
	sum := sha256.Sum256(content)
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(path))))
	t.Cleanup(server.Close)
	at := p.expose(t, strings.TrimPrefix(server.URL, "http://"))
	return samples.Demo{ImageURL: "http://" + at + "/" + filepath.Base(path), ImageSHA256: hex.EncodeToString(sum[:]), SSHPublicKey: p.authorizedKey()}
}

// serveGit serves the demo's repository where pods reach it.
func (p *platform) serveGit(t *testing.T, demo samples.Demo) string {
	t.Helper()
	tree, err := demo.Tree()
	must(t, err)
	bare := filepath.Join(p.dir, "demo.git")
	must(t, gitserver.InitDemo(t.Context(), bare, tree))
	server, err := gitserver.New(gitserver.Options{})
	must(t, err)
	must(t, server.AddBare("demo", bare))
	must(t, server.Start(t.Context()))
	t.Cleanup(func() { _ = server.Close() })
	at := p.expose(t, strings.TrimSuffix(strings.TrimPrefix(server.URL("demo"), "http://"), "/demo.git"))
	return "http://" + at + "/demo.git"
}

// follow has an Environment apply the repository.
func (p *platform) follow(t *testing.T, url string) {
	t.Helper()
	named := metav1.ObjectMeta{Namespace: namespace, Name: "demo"}
	p.ensure(t, &v1alpha1.GitRepository{ObjectMeta: named, Spec: v1alpha1.GitRepositorySpec{URL: url, Interval: metav1.Duration{Duration: 2 * time.Second}}})
	p.ensure(t, &v1alpha1.Environment{ObjectMeta: named, Spec: v1alpha1.EnvironmentSpec{
		SourceRef: v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "demo"}, TargetNamespace: namespace, ServiceAccountName: "tenant",
	}})
}

func (p *platform) healthy(t *testing.T) {
	t.Helper()
	p.eventually(t, 2*patience, "the Environment is ready", func(ctx context.Context) error {
		env := &v1alpha1.Environment{}
		if err := p.client.Get(ctx, key("demo"), env); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(env.Status.Conditions, v1alpha1.ReadyCondition) {
			return fmt.Errorf("%+v, health %+v", env.Status.Conditions, env.Status.Health)
		}
		return nil
	})
}
