//go:build e2e

package scenario

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/config/samples"
	"slipway.dev/slipway/local/gitserver"
)

// scenarios are what is run, beside what shows the same on local/node in test/e2e.
type scenarios []struct {
	name, local, differs string
	run                  func(t *testing.T)
}

// TestStory is the README's walk-through on stock KubeVirt, then what may go wrong around it.
func TestStory(t *testing.T) {
	p := newPlatform(t)
	p.install(t)
	p.tenant(t)
	demo := p.serveImage(t)
	remote, local := p.serveGit(t, demo)
	p.follow(t, remote)
	repo := clone(t, local)
	all := scenarios{
		{"a guest booted from Git with its user data applied", "the same", "the image comes in by a pod, the disk is filled by CDI", func(t *testing.T) {
			p.healthyAt(t, repo.head(t))
			if got, want := p.guest(t, "cat /data/hello"), "Hello from Git"; got != want {
				t.Errorf("first boot wrote %q, want %q", got, want)
			}
			p.guest(t, "echo precious > /data/precious && sync")
		}},
		{"a core more waits for a restart, which applies it", "the same", "by an operation; cores are requested in part, the node has two", func(t *testing.T) { moreCores(t, p, repo) }},
		{"the controllers killed in mid-import", "the process killed as soon as the import runs", "the import's pod goes on; on one machine the import begins anew", func(t *testing.T) {
			importOutlivesControllers(t, p)
		}},
		{"the controllers killed: the guest runs on", "the same, and QEMU is adopted", "", func(t *testing.T) { controllersKilled(t, p) }},
		{"virt-handler killed: the guest runs on", "-", "one machine has none", func(t *testing.T) { handlerKilled(t, p) }},
		{"removing the machine retains its disk; a revert brings both together again", "the same", "", func(t *testing.T) { removeAndRevert(t, p, repo) }},
		{"bad input is told clearly, harms nothing and heals", "the same inputs", "", func(t *testing.T) { badInputs(t, p, repo, demo.ImageURL) }},
		{"QEMU killed: the machine starts again", "the same", "", func(t *testing.T) { guestKilled(t, p, "^/usr/[a-z/]*qemu-") }},
		{"virt-launcher killed: the machine starts again", "-", "one machine has none", func(t *testing.T) { guestKilled(t, p, "virt-launcher-monitor") }},
	}
	all.run(t)
}

// run runs them in order, and prints the table. The first one that fails is the last one.
func (s scenarios) run(t *testing.T) {
	var table strings.Builder
	fmt.Fprintf(&table, "%-76s | %-8s | %-46s | %s\n", "scenario", "KubeVirt", "local/node (make e2e)", "differs")
	failed := false
	for _, one := range s {
		verdict := "not run"
		if !failed {
			failed = !t.Run(one.name, one.run)
			verdict = map[bool]string{true: "FAILED", false: "passed"}[failed]
		}
		fmt.Fprintf(&table, "%-76s | %-8s | %-46s | %s\n", one.name, verdict, one.local, one.differs)
	}
	for _, only := range []string{"Git server away", "DVCR away in mid-import", "disk space gone in mid-import", "an image server that falls silent", "killed in mid-apply", "Ctrl-C leaves no process", "notes on commits"} {
		fmt.Fprintf(&table, "%-76s | %-8s | %-46s | %s\n", only, "-", "run", "not brought to this engine yet")
	}
	t.Log("\n" + table.String())
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
func (p *platform) serveGit(t *testing.T, demo samples.Demo) (inside, outside string) {
	t.Helper()
	tree, err := demo.Tree()
	must(t, err)
	bare := filepath.Join(p.dir, "demo.git")
	must(t, gitserver.InitDemo(t.Context(), bare, modest(t, tree)))
	server, err := gitserver.New(gitserver.Options{})
	must(t, err)
	must(t, server.AddBare("demo", bare))
	must(t, server.Start(t.Context()))
	t.Cleanup(func() { _ = server.Close() })
	own, err := url.Parse(strings.TrimSuffix(server.URL("demo"), "/demo.git"))
	must(t, err)
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(own) }}) // it answers to its own name only
	t.Cleanup(proxy.Close)
	at := p.expose(t, strings.TrimPrefix(proxy.URL, "http://"))
	return "http://" + at + "/demo.git", server.URL("demo")
}

// modest has the machine ask for a part of its cores only: a node of two would not schedule two whole ones.
func modest(t *testing.T, tree fs.FS) fs.FS {
	t.Helper()
	out := fstest.MapFS{}
	names, err := fs.Glob(tree, "*")
	must(t, err)
	for _, name := range names {
		text, err := fs.ReadFile(tree, name)
		must(t, err)
		out[name] = &fstest.MapFile{Data: bytes.ReplaceAll(text, []byte("coreFraction: 100%"), []byte("coreFraction: 20%")), Mode: 0o644}
	}
	return out
}

// follow has an Environment apply the repository.
func (p *platform) follow(t *testing.T, remote string) {
	t.Helper()
	named := metav1.ObjectMeta{Namespace: namespace, Name: "demo"}
	p.ensure(t, &v1alpha1.GitRepository{ObjectMeta: named, Spec: v1alpha1.GitRepositorySpec{URL: remote, Interval: metav1.Duration{Duration: 2 * time.Second}}})
	p.ensure(t, &v1alpha1.Environment{ObjectMeta: named, Spec: v1alpha1.EnvironmentSpec{
		SourceRef: v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "demo"}, TargetNamespace: namespace, ServiceAccountName: "tenant",
	}})
}

// healthyAt waits until the Environment is ready at a commit; any when empty.
func (p *platform) healthyAt(t *testing.T, commit string) {
	t.Helper()
	p.eventually(t, 2*patience, "the Environment is ready", func(ctx context.Context) error {
		env := &v1alpha1.Environment{}
		if err := p.client.Get(ctx, key("demo"), env); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(env.Status.Conditions, v1alpha1.ReadyCondition) || !strings.HasSuffix(env.Status.LastAppliedRevision, commit) {
			return fmt.Errorf("at %s: %+v, health %+v", env.Status.LastAppliedRevision, env.Status.Conditions, env.Status.Health)
		}
		return nil
	})
}
