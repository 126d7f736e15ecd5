package environment

import (
	"context"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/source"
	"slipway.dev/slipway/render"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/oci"
)

// traffic counts requests by what they are, watches aside.
type traffic struct {
	mu       sync.Mutex
	requests []string
}

func (c *traffic) wrap(inner http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.URL.Query().Get("watch") == "" && !strings.HasSuffix(r.URL.Path, "/events") {
			c.mu.Lock()
			c.requests = append(c.requests, r.Method+" "+r.URL.Path)
			c.mu.Unlock()
		}
		return inner.RoundTrip(r)
	})
}

func (c *traffic) drain() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	drained := c.requests
	c.requests = nil
	return drained
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// managed runs the controller as a process does, with informers, in one world.
func managed(t *testing.T, more ...func(*world, ctrl.Manager) error) (*world, *traffic) {
	t.Helper()
	w, seen := newWorld(t), &traffic{}
	cfg := rest.CopyConfig(w.config)
	cfg.Wrap(seen.wrap)
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme: w.scheme, Metrics: metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
		Cache:      cache.Options{DefaultNamespaces: map[string]cache.Config{w.namespace: {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := SetupWithManager(mgr, Deps{Trees: w.store, Importer: w.importer(), Renderer: render.New(8, nil)}); err != nil {
		t.Fatal(err)
	}
	for _, add := range more {
		if err := add(w, mgr); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("manager: %v", err)
		}
	})
	return w, seen
}

// await watches the Environment until it is as wanted.
func (w *world) await(what string, good func(*v1alpha1.Environment) bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	watching, err := w.admin.Watch(ctx, &v1alpha1.EnvironmentList{}, client.InNamespace(w.namespace))
	if err != nil {
		w.Fatal(err)
	}
	defer watching.Stop()
	w.get("prod", w.env)
	for !good(w.env) {
		event, open := <-watching.ResultChan()
		if !open {
			w.Fatalf("%s did not happen: %+v", what, w.env.Status)
		}
		if env, ok := event.Object.(*v1alpha1.Environment); ok && env.Name == "prod" {
			w.env = env
		}
	}
}

// awaitObject watches an object until it is as wanted; nil means that it is gone.
func (w *world) awaitObject(kind, name string, good func(*unstructured.Unstructured) bool) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Minute)
	defer cancel()
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(w.blank(kind, name).GroupVersionKind())
	watching, err := w.admin.Watch(ctx, list, client.InNamespace(w.namespace))
	if err != nil {
		w.Fatal(err)
	}
	defer watching.Stop()
	for !good(w.live(kind, name)) {
		if _, open := <-watching.ResultChan(); !open {
			w.Fatalf("%s %s did not become as wanted: %v", kind, name, w.live(kind, name))
		}
	}
}

func ready(revision string) func(*v1alpha1.Environment) bool {
	return func(env *v1alpha1.Environment) bool {
		return meta.IsStatusConditionTrue(env.Status.Conditions, v1alpha1.ReadyCondition) && env.Status.LastAppliedRevision == revision
	}
}

// oneCommit is a Git server with one commit, for ever.
type oneCommit struct{ fetches atomic.Int32 }

func (*oneCommit) Resolve(context.Context, git.Remote, git.Ref) (git.Revision, error) {
	return git.Revision{Ref: "main", Commit: strings.Repeat("1", 40)}, nil
}

func (c *oneCommit) Fetch(context.Context, git.Remote, git.Revision, git.Options) (fs.FS, error) {
	c.fetches.Add(1)
	return fstest.MapFS{"settings.yaml": {Data: []byte(settings)}}, nil
}

func TestLostArtifactIsFetchedAtOnce(t *testing.T) {
	server := &oneCommit{}
	w, _ := managed(t, func(w *world, mgr ctrl.Manager) error {
		return source.SetupWithManager(mgr, source.Deps{Git: server, Registries: &oci.Client{}, Store: w.store})
	})
	revision := "main@sha1:" + strings.Repeat("1", 40)
	w.await("apply", ready(revision))
	for _, part := range []string{"trees", "blobs"} {
		left, err := filepath.Glob(filepath.Join(w.directory, part, "*"))
		if err != nil || len(left) == 0 {
			t.Fatalf("%s holds %q, %v", part, left, err)
		}
		for _, name := range left {
			if err := os.RemoveAll(name); err != nil {
				t.Fatal(err)
			}
		}
		prefix := part + "-"
		w.spec(func(s *v1alpha1.EnvironmentSpec) { s.NamePrefix = prefix })
		w.await("heal without its "+part, func(env *v1alpha1.Environment) bool {
			return ready(revision)(env) && len(env.Status.Inventory) == 1 && env.Status.Inventory[0].Name == prefix+"settings"
		})
	}
	if n := server.fetches.Load(); n != 3 {
		t.Errorf("fetched %d times, want once and for each loss once more", n)
	}
}

func TestWatchingWorld(t *testing.T) {
	w, seen := managed(t)
	w.push("main@sha1:0001", map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine, "settings.yaml": settings})
	w.await("apply", func(env *v1alpha1.Environment) bool { return env.Status.LastAppliedRevision == "main@sha1:0001" })
	w.running()
	w.await("health", ready("main@sha1:0001"))

	// Drift is corrected because it is watched.
	w.edit("ConfigMap", "settings", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, "green", "data", "color")
	})
	w.awaitObject("ConfigMap", "settings", func(u *unstructured.Unstructured) bool {
		color, _, _ := unstructured.NestedString(u.Object, "data", "color")
		return color == "blue"
	})

	// Health is watched too.
	w.status("VirtualMachine", "web", "phase: Pause")
	w.await("pause", func(env *v1alpha1.Environment) bool {
		r := meta.FindStatusCondition(env.Status.Conditions, v1alpha1.ReadyCondition)
		return r != nil && r.Reason == v1alpha1.ActionRequiredReason
	})
	w.running()
	w.await("resume", ready("main@sha1:0001"))

	// A run that somebody asks for and that finds nothing costs one write.
	seen.drain()
	patch := client.MergeFrom(w.env.DeepCopy())
	w.env.Annotations = map[string]string{v1alpha1.RequestedAtAnnotation: "now"}
	if err := w.admin.Patch(t.Context(), w.env, patch); err != nil {
		t.Fatal(err)
	}
	w.await("request", func(env *v1alpha1.Environment) bool { return env.Status.LastHandledReconcileAt == "now" })
	if requests := seen.drain(); len(requests) > 1 {
		t.Errorf("a run that changes nothing sent %q, want one write at most", requests)
	}

	// What left the source goes; what holds data stays.
	w.push("main@sha1:0002", map[string]string{"settings.yaml": settings})
	w.await("prune", func(env *v1alpha1.Environment) bool {
		return ready("main@sha1:0002")(env) && len(env.Status.Tombstones) == 1
	})
	if w.live("VirtualMachine", "web") != nil {
		t.Error("the machine is still there")
	}
	w.push("main@sha1:0003", map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine, "settings.yaml": settings})
	w.await("adoption", func(env *v1alpha1.Environment) bool {
		return env.Status.LastAppliedRevision == "main@sha1:0003" && len(env.Status.Tombstones) == 0
	})

	// Deleting the Environment leaves nothing but data.
	if err := w.admin.Delete(t.Context(), w.env); err != nil {
		t.Fatal(err)
	}
	w.awaitObject("VirtualMachine", "web", func(u *unstructured.Unstructured) bool { return u == nil })
	if w.live("VirtualDisk", "root") == nil {
		t.Error("the disk went with the Environment")
	}
}
