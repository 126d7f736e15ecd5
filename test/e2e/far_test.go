//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/local/gitserver"
)

// patience bounds each wait for what a healthy platform does within seconds. It
// is only used up by a test that fails.
const patience = 5 * time.Minute

// far is a second repository, on a Git server of the test's own that can go away,
// with an Environment that follows it.
type far struct {
	addr   string
	bare   string
	server *gitserver.Server
	repo   repository
}

// note is a ConfigMap, which tells what is applied.
func note(name, text string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  labels:\n    app: far\ndata:\n  text: %s\n", name, text)
}

func newFar(t *testing.T, s *stack) *far {
	t.Helper()
	f := &far{addr: "127.0.0.1:0", bare: filepath.Join(s.dir, "far.git"), repo: repository{dir: filepath.Join(s.dir, "far")}}
	if err := gitserver.InitDemo(t.Context(), f.bare, fstest.MapFS{"note.yaml": {Data: []byte(note("far", "first"))}}); err != nil {
		t.Fatal(err)
	}
	f.serve(t)
	t.Cleanup(func() { _ = f.server.Close() })
	f.repo.clone(t, f.server.URL("far"))
	f.follow(t, s)
	return f
}

// serve begins to serve, on the same address each time.
func (f *far) serve(t *testing.T) {
	t.Helper()
	var err error
	if f.server, err = gitserver.New(gitserver.Options{Addr: f.addr}); err != nil {
		t.Fatal(err)
	}
	if err := f.server.AddBare("far", f.bare); err != nil {
		t.Fatal(err)
	}
	if err := f.server.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	f.addr = strings.TrimSuffix(strings.TrimPrefix(f.server.URL("far"), "http://"), "/far.git")
}

func (f *far) follow(t *testing.T, s *stack) {
	t.Helper()
	env, err := s.environment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "far"}
	source := &v1alpha1.GitRepository{ObjectMeta: meta, Spec: v1alpha1.GitRepositorySpec{
		URL: f.server.URL("far"), Interval: metav1.Duration{Duration: 2 * time.Second},
	}}
	environment := &v1alpha1.Environment{ObjectMeta: meta, Spec: v1alpha1.EnvironmentSpec{
		SourceRef:       v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "far"},
		TargetNamespace: namespace, ServiceAccountName: env.Spec.ServiceAccountName,
	}}
	if err := s.client.Create(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Create(t.Context(), environment); err != nil {
		t.Fatal(err)
	}
}

func ofFar(ctx context.Context, s *stack, _ string) ([]metav1.Condition, error) {
	source := &v1alpha1.GitRepository{}
	err := s.client.Get(ctx, key("far"), source)
	return source.Status.Conditions, err
}

// applied waits until the far Environment has applied a commit, whatever the
// health of its objects.
func (f *far) applied(t *testing.T, s *stack, commit string) *v1alpha1.Environment {
	t.Helper()
	env := &v1alpha1.Environment{}
	s.eventually(t, patience, "Environment far has applied "+commit, func(ctx context.Context) error {
		if err := s.client.Get(ctx, key("far"), env); err != nil {
			return err
		}
		if !strings.HasSuffix(env.Status.LastAppliedRevision, commit) {
			return fmt.Errorf("at %q: %+v", env.Status.LastAppliedRevision, env.Status.Conditions)
		}
		return nil
	})
	return env
}
