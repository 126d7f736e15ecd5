package environment

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apimachinery/pkg/watch"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
	"slipway.dev/slipway/render"
	"slipway.dev/slipway/sources/store"
	"slipway.dev/slipway/test/kubetest"
)

// world is one namespace of a real API server with a source, a ServiceAccount
// and an Environment, worked on by a reconciler that runs when it is told to.
type world struct {
	testing.TB
	admin     client.WithWatch
	config    *rest.Config
	scheme    *runtime.Scheme
	namespace string
	directory string // of the store
	store     *store.Store
	clock     *clocktesting.FakePassiveClock
	events    *flowtest.Recorder
	engine    reconcile.Reconciler
	env       *v1alpha1.Environment
	// writes counts what the reconciler sent, as itself and as the ServiceAccount.
	writes atomic.Int32
}

const account = "deployer"

func newWorld(t testing.TB) *world {
	t.Helper()
	if test, ok := t.(*testing.T); ok {
		test.Parallel()
	}
	w := &world{TB: t, config: kubetest.StartFS(t, crd.Files), scheme: newScheme(t), events: &flowtest.Recorder{}}
	w.config.QPS = -1
	w.admin = must(client.NewWithWatch(w.config, client.Options{Scheme: w.scheme}))(t)
	w.namespace = kubetest.Namespace(t, w.admin)
	w.directory = t.TempDir()
	w.store = must(store.Open(w.directory))(t)
	w.clock = clocktesting.NewFakePassiveClock(time.Now())
	w.create(&corev1.ServiceAccount{ObjectMeta: w.named(account)})
	w.grant("*")
	w.create(&v1alpha1.GitRepository{ObjectMeta: w.named("source"), Spec: v1alpha1.GitRepositorySpec{URL: "https://git.example/source"}})
	w.env = &v1alpha1.Environment{ObjectMeta: w.named("prod"), Spec: v1alpha1.EnvironmentSpec{
		SourceRef:          v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "source"},
		ServiceAccountName: account,
	}}
	w.create(w.env)
	w.restart()
	return w
}

func newScheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// restart makes a reconciler that remembers nothing, as a new process would.
func (w *world) restart() {
	w.Helper()
	counted := w.counting(w.admin)
	r := newReconciler(counted, Deps{
		Trees: w.store, Importer: w.importer(), Renderer: render.New(8, nil), Deciders: Deciders(), Clock: w.clock,
		Clients: countingClients{w, NewImpersonation(w.config, w.scheme, w.admin.RESTMapper())},
	})
	r.planner.Mapper = w.admin.RESTMapper()
	w.engine = flow.New(r.definition(), flow.Deps{Client: counted, Recorder: w.events, Clock: w.clock})
}

type countingClients struct {
	world *world
	inner *Impersonation
}

func (c countingClients) As(name client.ObjectKey) (client.Client, error) {
	as, err := c.inner.As(name)
	if err != nil {
		return nil, err
	}
	return c.world.counting(as), nil
}

// counting counts writes.
func (w *world) counting(c client.Client) client.Client {
	inner, ok := c.(client.WithWatch)
	if !ok {
		inner = noWatch{c}
	}
	return interceptor.NewClient(inner, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, o runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
			w.writes.Add(1)
			return c.Apply(ctx, o, opts...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
			w.writes.Add(1)
			return c.Patch(ctx, o, p, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			w.writes.Add(1)
			return c.Delete(ctx, o, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			w.writes.Add(1)
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
	})
}

type noWatch struct{ client.Client }

func (noWatch) Watch(context.Context, client.ObjectList, ...client.ListOption) (watch.Interface, error) {
	panic("not watched")
}

func (w *world) named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.namespace, Name: name}
}

func (w *world) create(o client.Object) {
	w.Helper()
	if err := w.admin.Create(w.Context(), o); err != nil {
		w.Fatalf("create %T %s: %v", o, o.GetName(), err)
	}
}

// grant gives the ServiceAccount rights on the module kinds and some core kinds.
func (w *world) grant(verbs ...string) {
	w.Helper()
	w.create(&rbacv1.Role{ObjectMeta: w.named(account), Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"virtualization.deckhouse.io", ""}, Resources: []string{"*"}, Verbs: verbs},
	}})
	w.create(&rbacv1.RoleBinding{
		ObjectMeta: w.named(account),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: account},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: w.namespace}},
	})
}

func (w *world) revoke() {
	w.Helper()
	if err := w.admin.Delete(w.Context(), &rbacv1.RoleBinding{ObjectMeta: w.named(account)}); err != nil {
		w.Fatal(err)
	}
	if err := w.admin.Delete(w.Context(), &rbacv1.Role{ObjectMeta: w.named(account)}); err != nil {
		w.Fatal(err)
	}
}

// push makes files the artifact of the source.
func (w *world) push(revision string, files map[string]string) {
	w.Helper()
	tree := fstest.MapFS{"README.md": {Data: []byte(revision)}}
	for name, content := range files {
		tree[name] = &fstest.MapFile{Data: []byte(content)}
	}
	digest := must(w.store.Put(w.Context(), tree))(w)
	repo := &v1alpha1.GitRepository{}
	w.get("source", repo)
	repo.Status.Artifact = &v1alpha1.Artifact{Revision: revision, Digest: digest, LastUpdateTime: metav1.NewTime(w.clock.Now())}
	if err := w.admin.Status().Update(w.Context(), repo); err != nil {
		w.Fatalf("push: %v", err)
	}
}

func (w *world) get(name string, o client.Object) {
	w.Helper()
	if err := w.admin.Get(w.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, o); err != nil {
		w.Fatalf("get %s: %v", name, err)
	}
}

// run reconciles until nothing changes any more, and returns how the last run
// ended.
func (w *world) run() (ctrl.Result, error) {
	w.Helper()
	for range 10 {
		before := w.env.ResourceVersion
		result, err := flowtest.Reconcile(w, w.admin, w.engine, w.env)
		if err != nil || w.env.ResourceVersion == before {
			return result, err
		}
	}
	w.Fatal("the Environment does not settle")
	return ctrl.Result{}, nil
}

// settle is run for runs that must not fail.
func (w *world) settle() {
	w.Helper()
	if _, err := w.run(); err != nil {
		w.Fatalf("reconcile: %v", err)
	}
}

// spec changes the Environment's spec.
func (w *world) spec(change func(*v1alpha1.EnvironmentSpec)) {
	w.Helper()
	w.get("prod", w.env)
	before := client.MergeFrom(w.env.DeepCopy())
	change(&w.env.Spec)
	if err := w.admin.Patch(w.Context(), w.env, before); err != nil {
		w.Fatalf("update the Environment: %v", err)
	}
}

// live reads an object of a module or core kind; nil when it is not there.
func (w *world) live(kind, name string) *unstructured.Unstructured {
	w.Helper()
	u := w.blank(kind, name)
	err := w.admin.Get(w.Context(), client.ObjectKeyFromObject(u), u)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		w.Fatalf("get %s %s: %v", kind, name, err)
	}
	return u
}

func (w *world) blank(kind, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("virtualization.deckhouse.io/v1alpha2")
	if kind == "ConfigMap" || kind == "Secret" {
		u.SetAPIVersion("v1")
	}
	u.SetKind(kind)
	u.SetNamespace(w.namespace)
	u.SetName(name)
	return u
}

// status plays the controller of a module kind.
func (w *world) status(kind, name, text string) {
	w.Helper()
	u := w.live(kind, name)
	if u == nil {
		w.Fatalf("there is no %s %s", kind, name)
	}
	status := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &status); err != nil {
		w.Fatal(err)
	}
	u.Object["status"] = status
	if err := w.admin.Status().Update(w.Context(), u, client.FieldOwner("module")); err != nil {
		w.Fatalf("status of %s %s: %v", kind, name, err)
	}
}

// edit changes an object past the source.
func (w *world) edit(kind, name string, change func(*unstructured.Unstructured)) {
	w.Helper()
	u := w.live(kind, name)
	change(u)
	if err := w.admin.Update(w.Context(), u, client.FieldOwner("somebody")); err != nil {
		w.Fatalf("edit %s %s: %v", kind, name, err)
	}
}

// want checks the Ready condition: its status and reason, and that the message
// has the texts.
func (w *world) want(status metav1.ConditionStatus, reason string, texts ...string) {
	w.Helper()
	ready := meta.FindStatusCondition(w.env.Status.Conditions, v1alpha1.ReadyCondition)
	if ready == nil {
		w.Fatal("there is no Ready condition")
	}
	if ready.Status != status || ready.Reason != reason {
		w.Fatalf("Ready = %s %s (%s), want %s %s", ready.Status, ready.Reason, ready.Message, status, reason)
	}
	for _, text := range texts {
		if !strings.Contains(ready.Message, text) {
			w.Errorf("Ready says %q, want %q in it", ready.Message, text)
		}
	}
}

func (w *world) wantStalled(reason string, texts ...string) {
	w.Helper()
	w.want(metav1.ConditionFalse, reason, texts...)
	if !meta.IsStatusConditionTrue(w.env.Status.Conditions, v1alpha1.StalledCondition) {
		w.Error("the Environment is not Stalled")
	}
}

// wantEvent checks that an event was posted since the last check.
func (w *world) wantEvent(start string) {
	w.Helper()
	var posted []string
	for _, e := range w.events.Drain() {
		if strings.HasPrefix(e, start) {
			return
		}
		posted = append(posted, e)
	}
	w.Errorf("no event %q, but %q", start, posted)
}

// Manifests of the stories.
const (
	rootDisk = `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata: {name: root}
spec: {persistentVolumeClaim: {size: 1Gi}}
`
	webMachine = `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata: {name: web}
spec:
  virtualMachineClassName: generic
  cpu: {cores: 1}
  memory: {size: 256Mi}
  blockDeviceRefs: [{kind: VirtualDisk, name: root}]
`
	settings = `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
`
)

// running plays a world in which disk and machine are up.
func (w *world) running() {
	w.Helper()
	w.status("VirtualDisk", "root", "phase: Ready")
	w.status("VirtualMachine", "web", "phase: Running")
}

// started is a world in which the first revision runs.
func started(t testing.TB) *world {
	w := newWorld(t)
	w.push("main@sha1:0001", map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine, "settings.yaml": settings})
	w.settle()
	w.running()
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	w.events.Drain()
	return w
}

func request(key client.ObjectKey) reconcile.Request { return reconcile.Request{NamespacedName: key} }
