package scenario

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/local/gitserver"
)

const farName = "far"

// Far is a second repository, on a Git server of the test's own that can go away, with an Environment that follows it.
type Far struct {
	*Demo
	repository Repository
	bare       string
	addr       string // of the Git server, the same each time that it serves
	url        string // as the platform reaches it
	server     *gitserver.Server
}

// note is a ConfigMap, which tells what is applied.
func note(name, text string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  labels:\n    app: far\ndata:\n  text: %s\n", name, text)
}

// NewFar has the platform follow a second repository for as long as the test runs.
func NewFar(t *testing.T, d *Demo) *Far {
	t.Helper()
	f := &Far{Demo: d, addr: "127.0.0.1:0", bare: filepath.Join(t.TempDir(), "far.git")}
	Must(t, gitserver.InitDemo(t.Context(), f.bare, fstest.MapFS{"note.yaml": {Data: []byte(note(farName, "first"))}}))
	f.serve(t)
	t.Cleanup(func() { _ = f.server.Close() })
	f.repository = Clone(t, f.server.URL(farName))
	f.url = d.Expose(t, f.server.URL(farName))
	env, err := d.Environment(t.Context())
	Must(t, err)
	named := metav1.ObjectMeta{Namespace: Namespace, Name: farName}
	Must(t, d.Client.Create(t.Context(), &v1alpha1.GitRepository{ObjectMeta: named, Spec: v1alpha1.GitRepositorySpec{
		URL: f.url, Interval: metav1.Duration{Duration: 2 * time.Second},
	}}))
	Must(t, d.Client.Create(t.Context(), &v1alpha1.Environment{ObjectMeta: named, Spec: v1alpha1.EnvironmentSpec{
		SourceRef:       v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: farName},
		TargetNamespace: Namespace, ServiceAccountName: env.Spec.ServiceAccountName,
	}}))
	f.applied(t, f.repository.Head(t))
	return f
}

func (f *Far) serve(t *testing.T) {
	t.Helper()
	var err error
	f.server, err = gitserver.New(gitserver.Options{Addr: f.addr})
	Must(t, err)
	Must(t, f.server.AddBare(farName, f.bare))
	Must(t, f.server.Start(context.WithoutCancel(t.Context())))
	f.addr = strings.TrimSuffix(strings.TrimPrefix(f.server.URL(farName), "http://"), "/far.git")
}

// applied waits until the Environment has applied a commit, whatever the health of its objects.
func (f *Far) applied(t *testing.T, commit string) *v1alpha1.Environment {
	t.Helper()
	env := &v1alpha1.Environment{}
	Eventually(t, Patience, "Environment far has applied "+commit, func(ctx context.Context) error {
		err := f.Client.Get(ctx, Key(farName), env)
		if err == nil && !strings.HasSuffix(env.Status.LastAppliedRevision, commit) {
			err = fmt.Errorf("at %q: %+v", env.Status.LastAppliedRevision, env.Status.Conditions)
		}
		return err
	})
	return env
}

func (f *Far) text(t *testing.T) string {
	t.Helper()
	applied := &corev1.ConfigMap{}
	Must(t, f.Client.Get(t.Context(), Key(farName), applied))
	return applied.Data["text"]
}

// GitServerAway takes the server away: what was applied last goes on, the user is told, and the next push goes through as soon
// as the server is back.
func (f *Far) GitServerAway(t *testing.T) {
	Must(t, f.server.Close())
	f.IsTold(t, Source, farName, "Ready", strings.TrimSuffix(strings.TrimPrefix(f.url, "http://"), "/far.git"))
	if got := f.text(t); got != "first" {
		t.Errorf("while the Git server is away the ConfigMap says %q, want first", got)
	}
	f.serve(t)
	f.repository.Write(t, "note.yaml", note(farName, "second"))
	f.applied(t, f.repository.Push(t, "Change the note"))
	if got := f.text(t); got != "second" {
		t.Errorf("when the Git server is back the ConfigMap says %q, want second", got)
	}
}
