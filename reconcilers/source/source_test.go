package source

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/store"
)

// remoteStub is a server with one branch; err makes it fail.
type remoteStub struct {
	commit            string
	err               error
	fetchErr          error
	resolves, fetches int
	remote            git.Remote
	options           git.Options
	commitObject      []byte // shown to Verify
}

func (s *remoteStub) Resolve(_ context.Context, remote git.Remote, _ git.Ref) (git.Revision, error) {
	s.resolves++
	s.remote = remote
	return git.Revision{Ref: "main", Commit: s.commit}, s.err
}

func (s *remoteStub) Fetch(_ context.Context, _ git.Remote, r git.Revision, o git.Options) (fs.FS, error) {
	s.fetches++
	s.options = o
	if o.Verify != nil {
		if err := o.Verify(git.Objects{Commit: s.commitObject}); err != nil {
			return nil, err
		}
	}
	return fstest.MapFS{"commit": {Data: []byte(r.Commit)}}, s.fetchErr
}

type world struct {
	*testing.T
	client client.Client
	git    *remoteStub
	store  *store.Store
	clock  *clocktesting.FakePassiveClock
	events *flowtest.Recorder
	engine *flow.Reconciler[*v1alpha1.GitRepository, *scope]
	repo   *v1alpha1.GitRepository
}

const (
	first  = "1111111111111111111111111111111111111111"
	second = "2222222222222222222222222222222222222222"
	third  = "3333333333333333333333333333333333333333"
)

func unspread(d time.Duration) time.Duration { return d }

func newWorld(t *testing.T, spec v1alpha1.GitRepositorySpec, others ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	spec.URL = "https://git.example/vms"
	w := &world{
		T: t, git: &remoteStub{commit: first}, events: &flowtest.Recorder{},
		clock: clocktesting.NewFakePassiveClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)),
		repo:  &v1alpha1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vms", Generation: 1}, Spec: spec},
	}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(append(others, w.repo)...).
		WithStatusSubresource(&v1alpha1.GitRepository{}, &v1alpha1.OCIRepository{}).Build()
	var err error
	if w.store, err = store.Open(t.TempDir(), store.WithClock(w.clock)); err != nil {
		t.Fatal(err)
	}
	r := &reconciler{reader: w.client, secrets: w.client, git: w.git, store: w.store, clock: w.clock, spread: unspread}
	w.engine = flow.New(r.definition(), flow.Deps{Client: w.client, Recorder: w.events, Clock: w.clock})
	return w
}

func (w *world) run() (ctrl.Result, error) {
	w.Helper()
	return flowtest.Reconcile(w.T, w.client, w.engine, w.repo)
}

func (w *world) ready() (metav1.ConditionStatus, string) {
	c := meta.FindStatusCondition(w.repo.Status.Conditions, v1alpha1.ReadyCondition)
	if c == nil {
		return "", ""
	}
	return c.Status, c.Reason
}

func TestArtifact(t *testing.T) {
	w := newWorld(t, v1alpha1.GitRepositorySpec{Interval: metav1.Duration{Duration: 3 * time.Minute}})
	result, err := w.run()
	if err != nil {
		t.Fatal(err)
	}
	if result.RequeueAfter != 3*time.Minute {
		t.Errorf("next run after %s, want the interval", result.RequeueAfter)
	}
	a := w.repo.Status.Artifact
	if a == nil || a.Revision != "main@sha1:"+first || a.Size != 40 {
		t.Fatalf("artifact = %+v", a)
	}
	if status, reason := w.ready(); status != metav1.ConditionTrue || reason != v1alpha1.SucceededReason {
		t.Errorf("Ready = %s %s", status, reason)
	}
	tree, err := w.store.Tree(a.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if content, err := fs.ReadFile(tree, "commit"); err != nil || string(content) != first {
		t.Errorf("stored %q, %v", content, err)
	}
	if diff := cmp.Diff([]string{"Normal ArtifactUpdated stored main@sha1:" + first + " (40 bytes)"}, w.events.Drain()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestNothingIsFetchedTwice(t *testing.T) {
	w := newWorld(t, v1alpha1.GitRepositorySpec{})
	steps := []struct {
		name    string
		change  func()
		fetches int
	}{
		{"the first time", func() {}, 1},
		{"the head stands still", func() {}, 1},
		{"the head moved", func() { w.git.commit = second }, 2},
		{"the files chosen changed", func() {
			w.repo.Spec.SparseCheckout = []string{"vms"}
			if err := w.client.Update(t.Context(), w.repo); err != nil {
				t.Fatal(err)
			}
		}, 3},
		{"and stand still", func() {}, 3},
		{"the store lost the tree", func() {
			w.clock.SetTime(w.clock.Now().Add(time.Hour))
			if _, err := w.store.Keep(); err != nil {
				t.Fatal(err)
			}
		}, 4},
	}
	for _, step := range steps {
		step.change()
		if _, err := w.run(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if w.git.fetches != step.fetches {
			t.Fatalf("%s: %d fetches, want %d", step.name, w.git.fetches, step.fetches)
		}
		if _, err := w.store.Tree(w.repo.Status.Artifact.Digest); err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	if diff := cmp.Diff([]string{"vms"}, w.git.options.Sparse); diff != "" {
		t.Errorf("sparse (-want +got):\n%s", diff)
	}
}

func TestOldArtifactsAreCollected(t *testing.T) {
	w := newWorld(t, v1alpha1.GitRepositorySpec{})
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	oldest := w.repo.Status.Artifact.Digest
	var last string
	for _, commit := range []string{second, third} {
		last = w.repo.Status.Artifact.Digest
		w.clock.SetTime(w.clock.Now().Add(time.Hour))
		w.git.commit = commit
		if _, err := w.run(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.store.Tree(oldest); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the oldest tree: %v, want it gone", err)
	}
	if _, err := w.store.Tree(last); err != nil {
		t.Errorf("the last tree: %v, want it there for those who still read it", err)
	}
}

func TestFailuresKeepTheArtifact(t *testing.T) {
	tests := map[string]struct {
		err    error
		reason string
	}{
		"server away":       {git.ErrUnreachable, v1alpha1.GitOperationFailedReason},
		"wrong credentials": {git.ErrAuth, v1alpha1.AuthenticationFailedReason},
		"no such branch":    {git.ErrNotFound, v1alpha1.ReferenceNotFoundReason},
		"not allowed":       {git.ErrRefused, v1alpha1.SourceRefusedReason},
		"something else":    {errors.New("odd"), v1alpha1.GitOperationFailedReason},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, v1alpha1.GitRepositorySpec{})
			if _, err := w.run(); err != nil {
				t.Fatal(err)
			}
			artifact := w.repo.Status.Artifact.DeepCopy()
			w.events.Drain()
			w.git.err = fmt.Errorf("resolve: %w", test.err)
			for range 2 {
				if _, err := w.run(); err == nil {
					t.Error("the failure is not retried")
				}
			}
			if status, reason := w.ready(); status != metav1.ConditionFalse || reason != test.reason {
				t.Errorf("Ready = %s %s, want False %s", status, reason, test.reason)
			}
			if diff := cmp.Diff(artifact, w.repo.Status.Artifact); diff != "" {
				t.Errorf("artifact (-want +got):\n%s", diff)
			}
			if events := w.events.Drain(); len(events) != 1 || !strings.HasPrefix(events[0], "Warning "+test.reason) {
				t.Errorf("events = %q, want one warning", events)
			}
			w.git.err = nil
			if _, err := w.run(); err != nil {
				t.Fatal(err)
			}
			if status, _ := w.ready(); status != metav1.ConditionTrue {
				t.Errorf("Ready = %s after the server came back", status)
			}
		})
	}
}

func TestReferenceMovesWhileItIsFetched(t *testing.T) {
	w := newWorld(t, v1alpha1.GitRepositorySpec{})
	w.git.fetchErr = git.ErrMoved
	result, err := w.run()
	if err != nil || result.RequeueAfter != time.Second {
		t.Errorf("result = %+v, %v, want another look in a second", result, err)
	}
}

func TestSuspend(t *testing.T) {
	w := newWorld(t, v1alpha1.GitRepositorySpec{Suspend: true})
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	if _, reason := w.ready(); reason != v1alpha1.SuspendedReason || w.git.resolves != 0 {
		t.Errorf("Ready reason = %s after %d requests, want Suspended after none", reason, w.git.resolves)
	}
}

func TestCredentials(t *testing.T) {
	secret := func(data map[string]string) *corev1.Secret {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "login"}, Data: map[string][]byte{}}
		for key, value := range data {
			s.Data[key] = []byte(value)
		}
		return s
	}
	named := &v1alpha1.LocalObjectReference{Name: "login"}
	tests := map[string]struct {
		spec   v1alpha1.GitRepositorySpec
		secret *corev1.Secret
		reason string
		text   string
	}{
		"a password":            {v1alpha1.GitRepositorySpec{SecretRef: named}, secret(map[string]string{"username": "me", "password": "s3cr3t"}), v1alpha1.SucceededReason, ""},
		"no such Secret":        {v1alpha1.GitRepositorySpec{SecretRef: named}, nil, v1alpha1.AuthenticationFailedReason, "there is no Secret login in namespace team"},
		"half a login":          {v1alpha1.GitRepositorySpec{SecretRef: named}, secret(map[string]string{"username": "me"}), v1alpha1.AuthenticationFailedReason, "login"},
		"a proxy":               {v1alpha1.GitRepositorySpec{ProxySecretRef: named}, secret(map[string]string{"address": "http://proxy:3128"}), v1alpha1.SucceededReason, ""},
		"a proxy without a URL": {v1alpha1.GitRepositorySpec{ProxySecretRef: named}, secret(map[string]string{"username": "me"}), v1alpha1.AuthenticationFailedReason, "the key address is missing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var others []client.Object
			if test.secret != nil {
				others = append(others, test.secret)
			}
			w := newWorld(t, test.spec, others...)
			_, err := w.run()
			if wantErr := test.reason != v1alpha1.SucceededReason; (err != nil) != wantErr {
				t.Errorf("error = %v, want one: %v", err, wantErr)
			}
			c := meta.FindStatusCondition(w.repo.Status.Conditions, v1alpha1.ReadyCondition)
			if c.Reason != test.reason || !strings.Contains(c.Message, test.text) || strings.Contains(c.Message, "s3cr3t") {
				t.Errorf("Ready = %s %q, want %s with %q", c.Reason, c.Message, test.reason, test.text)
			}
		})
	}
}

func TestIntervalsAreSpread(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 100 {
		d := spread(time.Hour)
		if d < 57*time.Minute || d > 63*time.Minute {
			t.Fatalf("an hour became %s, want it within 5 %%", d)
		}
		seen[d] = true
	}
	if len(seen) < 2 {
		t.Error("every look comes at the same time")
	}
}

func TestRequestedReconcile(t *testing.T) {
	w := newWorld(t, v1alpha1.GitRepositorySpec{})
	w.repo.Annotations = map[string]string{v1alpha1.RequestedAtAnnotation: "today"}
	if err := w.client.Update(t.Context(), w.repo); err != nil {
		t.Fatal(err)
	}
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	if got := w.repo.Status.LastHandledReconcileAt; got != "today" {
		t.Errorf("lastHandledReconcileAt = %q", got)
	}
}

// kept is a store that remembers what was to be kept.
type kept struct {
	Store
	digests []string
}

func (k *kept) Keep(digests ...string) (int, error) {
	k.digests = digests
	return 0, nil
}

func TestCollectKeepsWhatEnvironmentsTook(t *testing.T) {
	w := newWorld(t, v1alpha1.GitRepositorySpec{})
	env := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "other", Name: "prod"}}
	env.Status.SourceArtifact = &v1alpha1.SourceArtifact{Artifact: v1alpha1.Artifact{Digest: "sha256:taken"}}
	if err := w.client.Create(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	trees := &kept{}
	if err := Collect(t.Context(), w.client, trees, "sha256:fresh"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(trees.digests, []string{"sha256:fresh", "sha256:taken"}) {
		t.Errorf("%q are kept", trees.digests)
	}
}
