package environment

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/render"
	"slipway.dev/slipway/render/schema"
)

func TestFirstRevision(t *testing.T) {
	w := newWorld(t)
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.SourceNotReadyReason, "GitRepository source has no artifact yet")

	w.push("main@sha1:0001", map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine, "settings.yaml": settings})
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.ProgressingReason, "1 of 3 healthy", "was just made")
	if got := w.env.Status.Plan.Summary; got.Create != 3 {
		t.Errorf("plan = %+v, want three to create", got)
	}
	vm := w.live("VirtualMachine", "web")
	if vm == nil || vm.GetLabels()[v1alpha1.EnvironmentLabel] != "prod" || vm.GetLabels()[v1alpha1.EnvironmentNamespaceLabel] != w.namespace {
		t.Fatalf("machine = %v, want one that carries its owner", vm)
	}
	for _, m := range vm.GetManagedFields() {
		if m.Manager != v1alpha1.FieldManager || m.Operation != metav1.ManagedFieldsOperationApply {
			t.Errorf("written by %s %s, want one apply by %s", m.Manager, m.Operation, v1alpha1.FieldManager)
		}
	}

	w.running()
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason, "applied main@sha1:0001", "all 3 objects are healthy")
	if w.env.Status.LastAppliedRevision != "main@sha1:0001" || len(w.env.Status.Inventory) != 3 || len(w.env.Status.History) != 1 {
		t.Errorf("status = %+v", w.env.Status)
	}
}

func TestNothingToDoWritesNothing(t *testing.T) {
	w := started(t)
	for name, prepare := range map[string]func(){
		"as it was":         func() {},
		"after a restart":   w.restart,
		"a status moved on": func() { w.status("VirtualMachine", "web", "{phase: Running, nodeName: one}") },
	} {
		prepare()
		w.writes.Store(0)
		w.settle()
		if n := w.writes.Load(); n != 0 {
			t.Errorf("%s: %d writes, want none", name, n)
		}
	}
	if events := w.events.Drain(); len(events) > 0 {
		t.Errorf("events = %q, want none", events)
	}
}

func TestWaitingWritesNothing(t *testing.T) {
	w := started(t)
	for name, state := range map[string]string{
		"awaiting a restart": "{phase: Running, restartAwaitingChanges: [{operation: replace, path: cpu.cores}]}",
		"degraded":           "phase: Degraded",
		"progressing":        "phase: Starting",
	} {
		w.status("VirtualMachine", "web", state)
		w.settle()
		w.writes.Store(0)
		w.clock.SetTime(w.clock.Now().Add(time.Second))
		w.settle()
		if n := w.writes.Load(); n != 0 {
			t.Errorf("%s: %d writes, want none", name, n)
		}
	}
}

func TestChangeThatNeedsARestart(t *testing.T) {
	w := started(t)
	w.push("main@sha1:0002", map[string]string{
		"disk.yaml": rootDisk, "web.yaml": strings.Replace(webMachine, "cores: 1", "cores: 2", 1), "settings.yaml": settings,
	})
	w.settle()
	p := w.env.Status.Plan
	if len(p.Changes) != 1 || p.Changes[0].Verdict != string(plan.Restart) || p.Changes[0].Fields[0] != "spec.cpu.cores" {
		t.Fatalf("plan = %+v, want a restart for spec.cpu.cores", p)
	}
	w.wantEvent("Normal Planned main@sha1:0002: 1 to change at a restart")
	w.status("VirtualMachine", "web", "{phase: Running, restartAwaitingChanges: [{operation: replace, path: cpu.cores}]}")
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.AwaitingRestartReason, "needs a restart")
	w.running()
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
}

func TestRestartForbidden(t *testing.T) {
	w := started(t)
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.Disruption.Restart = v1alpha1.RestartNever })
	w.push("main@sha1:0002", map[string]string{
		"disk.yaml": rootDisk, "web.yaml": strings.Replace(webMachine, "cores: 1", "cores: 2", 1), "settings.yaml": settings,
	})
	w.settle()
	w.wantStalled(v1alpha1.RestartForbiddenReason, "VirtualMachine "+w.namespace+"/web")
	if cores, _, _ := unstructured.NestedInt64(w.live("VirtualMachine", "web").Object, "spec", "cpu", "cores"); cores != 1 {
		t.Errorf("cores = %d, want the machine untouched", cores)
	}
}

func TestMachineGoesAndDiskStaysAndBothComeBack(t *testing.T) {
	w := started(t)
	uid := w.live("VirtualDisk", "root").GetUID()

	w.push("main@sha1:0002", map[string]string{"settings.yaml": settings})
	w.settle()
	if w.live("VirtualMachine", "web") != nil {
		t.Error("the machine is still there")
	}
	kept := w.live("VirtualDisk", "root")
	if kept == nil || kept.GetUID() != uid || kept.GetLabels()[v1alpha1.ReleasedLabel] != "true" {
		t.Fatalf("disk = %v, want it released", kept)
	}
	if _, found, _ := unstructured.NestedString(kept.Object, "spec", "persistentVolumeClaim", "size"); !found {
		t.Error("releasing the disk took its spec away")
	}
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	if tombs := w.env.Status.Tombstones; len(tombs) != 1 || tombs[0].UID != uid || tombs[0].Revision != "main@sha1:0002" {
		t.Errorf("tombstones = %+v, want the disk", tombs)
	}
	if len(w.env.Status.Inventory) != 1 {
		t.Errorf("inventory = %+v, want the settings only", w.env.Status.Inventory)
	}
	w.wantEvent("Normal Retained VirtualDisk")

	w.push("main@sha1:0003", map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine, "settings.yaml": settings})
	w.settle()
	w.running()
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	back := w.live("VirtualDisk", "root")
	if back.GetUID() != uid {
		t.Errorf("the disk is another one: %s, want %s", back.GetUID(), uid)
	}
	if _, marked := back.GetLabels()[v1alpha1.ReleasedLabel]; marked || len(w.env.Status.Tombstones) != 0 {
		t.Errorf("labels = %v, tombstones = %v, want neither mark nor tombstone", back.GetLabels(), w.env.Status.Tombstones)
	}
}

func TestPruneWaitsForHealth(t *testing.T) {
	w := started(t)
	green := strings.Replace(rootDisk, "name: root", "name: green", 1)
	w.push("main@sha1:0002", map[string]string{"web.yaml": strings.Replace(webMachine, "name: web", "name: other", 1), "disk.yaml": rootDisk, "green.yaml": green, "settings.yaml": settings})
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.ProgressingReason)
	if w.live("VirtualMachine", "web") == nil {
		t.Fatal("the old machine went before the new revision worked")
	}
	w.status("VirtualDisk", "green", "phase: Failed")
	w.settle()
	w.want(metav1.ConditionFalse, v1alpha1.DegradedReason, "VirtualDisk "+w.namespace+"/green is Failed")
	if w.live("VirtualMachine", "web") == nil {
		t.Fatal("the old machine went while the new revision is degraded")
	}
	w.status("VirtualDisk", "green", "phase: Ready")
	w.status("VirtualMachine", "other", "phase: Running")
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	if w.live("VirtualMachine", "web") != nil {
		t.Error("the old machine is still there")
	}
}

func TestDriftIsCorrected(t *testing.T) {
	w := started(t)
	w.edit("VirtualMachine", "web", func(u *unstructured.Unstructured) {
		_ = unstructured.SetNestedField(u.Object, int64(8), "spec", "cpu", "cores")
		_ = unstructured.SetNestedField(u.Object, "AlwaysOn", "spec", "runPolicy")
	})
	w.settle()
	u := w.live("VirtualMachine", "web")
	if cores, _, _ := unstructured.NestedInt64(u.Object, "spec", "cpu", "cores"); cores != 1 {
		t.Errorf("cores = %d, want what the source says", cores)
	}
	if policy, _, _ := unstructured.NestedString(u.Object, "spec", "runPolicy"); policy != "AlwaysOn" {
		t.Errorf("runPolicy = %s, want the field that the source does not mention left alone", policy)
	}
	w.wantEvent("Normal DriftCorrected main@sha1:0001")
}

func TestDeletedByHandIsMadeAgain(t *testing.T) {
	w := started(t)
	if err := w.admin.Delete(t.Context(), w.live("ConfigMap", "settings")); err != nil {
		t.Fatal(err)
	}
	w.settle()
	if w.live("ConfigMap", "settings") == nil {
		t.Error("the object is not made again")
	}
}

func TestBrakes(t *testing.T) {
	thing := func(name string) string { return strings.Replace(settings, "name: settings", "name: "+name, 1) }
	all := func(names ...string) map[string]string {
		files := map[string]string{}
		for _, name := range names {
			files[name+".yaml"] = thing(name)
		}
		return files
	}
	w := newWorld(t)
	w.push("main@sha1:0000", nil)
	w.settle()
	w.wantStalled(v1alpha1.EmptyRevisionReason, "no objects")

	w.push("main@sha1:0001", all("a", "b", "c", "d"))
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)

	w.push("main@sha1:0002", nil)
	w.settle()
	w.wantStalled(v1alpha1.EmptyRevisionReason, "all 4 of the inventory would go", "ConfigMap "+w.namespace+"/a")

	w.push("main@sha1:0003", all("a"))
	w.settle()
	w.wantStalled(v1alpha1.MassDeletionReason, "3 of 4", string(w.live("ConfigMap", "b").GetUID()))
	for _, name := range []string{"a", "b", "c", "d"} {
		if w.live("ConfigMap", name) == nil {
			t.Fatalf("%s went in spite of the brake", name)
		}
	}

	approved := []types.UID{w.live("ConfigMap", "b").GetUID(), w.live("ConfigMap", "c").GetUID()}
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.Prune.Approved = approved })
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	if w.live("ConfigMap", "b") != nil || w.live("ConfigMap", "a") == nil {
		t.Error("the approved deletion was not carried out as approved")
	}
}

func TestReplaceNeedsApproval(t *testing.T) {
	w := started(t)
	before := w.live("VirtualDisk", "root").GetUID()
	files := map[string]string{"web.yaml": webMachine, "settings.yaml": strings.Replace(settings, "blue", "red", 1), "disk.yaml": `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata: {name: root}
spec: {persistentVolumeClaim: {size: 1Gi}, dataSource: {type: HTTP, http: {url: "https://images.example/new.qcow2"}}}
`}
	w.push("main@sha1:0002", files)
	w.settle()
	w.wantStalled(v1alpha1.ApprovalRequiredReason, "VirtualDisk "+w.namespace+"/root", string(before), "content of this one is lost")
	if color, _, _ := unstructured.NestedString(w.live("ConfigMap", "settings").Object, "data", "color"); color != "blue" {
		t.Error("a part of a revision that stands still was applied")
	}

	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.Prune.Approved = []types.UID{before} })
	w.settle()
	after := w.live("VirtualDisk", "root")
	if after == nil || after.GetUID() == before {
		t.Fatalf("disk = %v, want a new one", after)
	}
	w.running()
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
}

func TestDiskCannotShrink(t *testing.T) {
	w := started(t)
	w.push("main@sha1:0002", map[string]string{"disk.yaml": strings.Replace(rootDisk, "1Gi", "512Mi", 1), "web.yaml": webMachine, "settings.yaml": settings})
	w.settle()
	w.wantStalled(v1alpha1.ChangeRefusedReason, "disk.yaml:", "a disk cannot shrink")
	w.push("main@sha1:0003", map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine, "settings.yaml": settings})
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
}

func TestApprovalOfData(t *testing.T) {
	w := started(t)
	uid := w.live("VirtualDisk", "root").GetUID()
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.Prune.Policy = v1alpha1.PruneDelete })
	w.push("main@sha1:0002", map[string]string{"settings.yaml": settings})
	w.settle()
	w.wantStalled(v1alpha1.ApprovalRequiredReason, string(uid))
	if w.live("VirtualMachine", "web") != nil || w.live("VirtualDisk", "root") == nil {
		t.Fatal("want the machine gone and the disk there")
	}
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.Prune.Approved = []types.UID{uid} })
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	if w.live("VirtualDisk", "root") != nil {
		t.Error("the approved disk is still there")
	}
}

func TestTombstoneIsDeletedWhenApproved(t *testing.T) {
	w := started(t)
	uid := w.live("VirtualDisk", "root").GetUID()
	w.push("main@sha1:0002", map[string]string{"settings.yaml": settings})
	w.settle()
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.Prune.Approved = []types.UID{uid} })
	w.settle()
	if w.live("VirtualDisk", "root") != nil || len(w.env.Status.Tombstones) != 0 {
		t.Errorf("tombstones = %+v, want the disk and its tombstone gone", w.env.Status.Tombstones)
	}
}

func TestOwnedByAnother(t *testing.T) {
	w := started(t)
	first := w.env
	w.env = &v1alpha1.Environment{ObjectMeta: w.named("rival"), Spec: *first.Spec.DeepCopy()}
	w.create(w.env)
	w.settle()
	w.wantStalled(v1alpha1.OwnedByAnotherReason, "belongs to the Environment "+w.namespace+"/prod")
	if owner := w.live("ConfigMap", "settings").GetLabels()[v1alpha1.EnvironmentLabel]; owner != "prod" {
		t.Errorf("owner = %s, want the first one", owner)
	}
}

func TestReleasedDiskMovesToAnotherEnvironment(t *testing.T) {
	w := started(t)
	uid := w.live("VirtualDisk", "root").GetUID()
	w.push("main@sha1:0002", map[string]string{"settings.yaml": settings, "b/disk.yaml": rootDisk, "kustomization.yaml": "resources: [settings.yaml]"})
	w.settle()
	w.env = &v1alpha1.Environment{ObjectMeta: w.named("second"), Spec: *w.env.Spec.DeepCopy()}
	w.env.Spec.Path = "b"
	w.create(w.env)
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	moved := w.live("VirtualDisk", "root")
	if moved.GetUID() != uid || moved.GetLabels()[v1alpha1.EnvironmentLabel] != "second" {
		t.Errorf("disk = %s of %s, want the same one under its new owner", moved.GetUID(), moved.GetLabels()[v1alpha1.EnvironmentLabel])
	}
}

func TestBadRevisionsHarmNothingAndHeal(t *testing.T) {
	tests := map[string]struct {
		files  map[string]string
		reason string
		texts  []string
	}{
		"YAML that does not parse":  {map[string]string{"web.yaml": "kind: [", "disk.yaml": rootDisk}, v1alpha1.RenderFailedReason, []string{"web.yaml"}},
		"a remote base":             {map[string]string{"kustomization.yaml": "resources: [https://example.com/base]"}, v1alpha1.RenderFailedReason, []string{"kustomization.yaml"}},
		"a path out of the tree":    {map[string]string{"kustomization.yaml": "resources: [../../etc]"}, v1alpha1.RenderFailedReason, nil},
		"an object without a name":  {map[string]string{"web.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"}, v1alpha1.RenderFailedReason, nil},
		"two objects with one name": {map[string]string{"a.yaml": settings, "b.yaml": settings}, v1alpha1.RenderFailedReason, []string{"settings"}},
	}
	w := started(t)
	good := map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine, "settings.yaml": settings}
	version := w.live("VirtualMachine", "web").GetResourceVersion()
	for name, test := range tests {
		w.push("main@sha1:bad-"+strings.ReplaceAll(name, " ", "-"), test.files)
		w.settle()
		ready := w.env.Status.Conditions
		w.wantStalled(test.reason, test.texts...)
		if t.Failed() {
			t.Fatalf("%s: %+v", name, ready)
		}
		if w.live("VirtualMachine", "web").GetResourceVersion() != version || w.env.Status.LastAppliedRevision != "main@sha1:0001" {
			t.Errorf("%s: what worked before was touched", name)
		}
	}
	w.push("main@sha1:0001", good)
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
}

func TestUnknownKindAndUnknownField(t *testing.T) {
	w := started(t)
	w.push("main@sha1:0002", map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine, "settings.yaml": settings, "x.yaml": "apiVersion: example.com/v1\nkind: Unheard\nmetadata: {name: x}\n"})
	if _, err := w.run(); err == nil {
		t.Error("an unknown kind is not retried: its definition may still come")
	}
	w.want(metav1.ConditionFalse, v1alpha1.KindNotFoundReason, "x.yaml", "Unheard")

	w.push("main@sha1:0003", map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine + "  tint: red\n", "settings.yaml": strings.Replace(settings, "blue", "red", 1)})
	if _, err := w.run(); err == nil {
		t.Error("an object that is refused is not retried")
	}
	w.want(metav1.ConditionFalse, v1alpha1.ApplyFailedReason, "web.yaml", "tint")
	if color, _, _ := unstructured.NestedString(w.live("ConfigMap", "settings").Object, "data", "color"); color != "red" {
		t.Error("one refused object kept the others back")
	}
}

func TestImpersonation(t *testing.T) {
	w := started(t)
	w.revoke()
	changed := map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine, "settings.yaml": strings.Replace(settings, "blue", "red", 1)}
	w.push("main@sha1:0002", changed)
	if _, err := w.run(); err == nil {
		t.Error("a forbidden apply is not retried")
	}
	w.want(metav1.ConditionFalse, v1alpha1.ForbiddenReason, "system:serviceaccount:"+w.namespace+":"+account)
	w.grant("*")
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason, "main@sha1:0002")

	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.ServiceAccountName = "" })
	w.settle()
	w.wantStalled(v1alpha1.ServiceAccountRequiredReason)
}

func TestOutsideTheNamespaceIsTheAccountsBusiness(t *testing.T) {
	w := started(t)
	w.push("main@sha1:0002", map[string]string{"settings.yaml": strings.Replace(settings, "name: settings", "name: settings, namespace: default", 1)})
	if _, err := w.run(); err == nil {
		t.Error("an object in another namespace was applied without the right to")
	}
	w.want(metav1.ConditionFalse, v1alpha1.ForbiddenReason)
}

func TestKilledWhileApplying(t *testing.T) {
	w := newWorld(t)
	w.push("main@sha1:0001", map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine, "settings.yaml": settings})
	// One run records what is about to be made and makes nothing.
	key := client.ObjectKeyFromObject(w.env)
	if _, err := w.engine.Reconcile(t.Context(), request(key)); err != nil {
		t.Fatal(err)
	}
	w.get("prod", w.env)
	if len(w.env.Status.Inventory) != 3 || w.live("ConfigMap", "settings") != nil {
		t.Fatalf("inventory = %+v, want it recorded before anything is made", w.env.Status.Inventory)
	}
	// A part is made, then the process is killed before it can write down more.
	made := w.env.DeepCopy()
	if _, err := w.engine.Reconcile(t.Context(), request(key)); err != nil {
		t.Fatal(err)
	}
	w.get("prod", w.env)
	w.env.Status = made.Status
	if err := w.admin.Status().Update(t.Context(), w.env); err != nil {
		t.Fatal(err)
	}
	w.restart()
	// Meanwhile the source changed its mind: nothing may be left behind.
	w.push("main@sha1:0002", map[string]string{"disk.yaml": rootDisk, "web.yaml": webMachine})
	w.settle()
	w.running()
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	if w.live("ConfigMap", "settings") != nil {
		t.Error("an object that no inventory knows was left behind")
	}
}

func TestArtifactLost(t *testing.T) {
	w := started(t)
	repo := &v1alpha1.GitRepository{}
	w.get("source", repo)
	repo.Status.Artifact.Digest = "sha256:" + strings.Repeat("0", 64)
	if err := w.admin.Status().Update(t.Context(), repo); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.ArtifactLostReason)
	if w.live("VirtualMachine", "web") == nil {
		t.Error("the machine went with the artifact")
	}
}

func TestSuspend(t *testing.T) {
	w := started(t)
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.Suspend = true })
	w.push("main@sha1:0002", map[string]string{"settings.yaml": settings})
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.SuspendedReason)
	if w.live("VirtualMachine", "web") == nil {
		t.Error("a suspended Environment was pruned")
	}
}

func TestDeletionPolicies(t *testing.T) {
	tests := map[v1alpha1.DeletionPolicy][]string{
		v1alpha1.DeletionRetain:             {"VirtualDisk root"},
		v1alpha1.DeletionMirrorPrune:        {"VirtualDisk root"},
		v1alpha1.DeletionDelete:             nil,
		v1alpha1.DeletionWaitForTermination: nil,
		v1alpha1.DeletionOrphan:             {"ConfigMap settings", "VirtualDisk root", "VirtualMachine web"},
	}
	for policy, want := range tests {
		t.Run(string(policy), func(t *testing.T) {
			w := started(t)
			w.spec(func(s *v1alpha1.EnvironmentSpec) { s.DeletionPolicy = policy })
			if err := w.admin.Delete(t.Context(), w.env); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := w.engine.Reconcile(t.Context(), request(client.ObjectKeyFromObject(w.env))); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.admin.Get(t.Context(), client.ObjectKeyFromObject(w.env), w.env); err == nil {
				t.Errorf("the Environment is still there: %+v", w.env.Status.Conditions)
			}
			var left []string
			for _, o := range [][2]string{{"ConfigMap", "settings"}, {"VirtualDisk", "root"}, {"VirtualMachine", "web"}} {
				if w.live(o[0], o[1]) != nil {
					left = append(left, o[0]+" "+o[1])
				}
			}
			if diff := cmp.Diff(want, left); diff != "" {
				t.Errorf("what is left (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHealthIsWatchedWhileTheNewRevisionIsRefused(t *testing.T) {
	w := started(t)
	w.push("main@sha1:0002", map[string]string{"web.yaml": "kind: ["})
	w.settle()
	w.wantStalled(v1alpha1.RenderFailedReason)
	if h := w.env.Status.Health; h.Healthy != 3 || h.Total != 3 {
		t.Errorf("health = %+v, want what runs healthy", h)
	}
	w.status("VirtualDisk", "root", "phase: PVCLost")
	w.settle()
	if h := w.env.Status.Health; h.Degraded != 1 || h.Problems[0].Name != "root" {
		t.Errorf("health = %+v, want the disk degraded", h)
	}
}

func TestPlanner(t *testing.T) {
	w := started(t)
	p := &Planner{Renderer: render.New(2, nil), Mapper: w.admin.RESTMapper(), Deciders: Deciders()}
	version := w.live("VirtualMachine", "web").GetResourceVersion()
	tree := fstest.MapFS{
		"web.yaml":      {Data: []byte(strings.Replace(webMachine, "cores: 1", "cores: 2", 1))},
		"settings.yaml": {Data: []byte(settings)},
	}
	got, err := p.Plan(t.Context(), w.admin, w.env, Tree{Files: tree, Revision: "this directory"})
	if err != nil {
		t.Fatal(err)
	}
	want := v1alpha1.PlanSummary{Restart: 1, Retain: 1, None: 1}
	if diff := cmp.Diff(want, got.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if w.live("VirtualMachine", "web").GetResourceVersion() != version {
		t.Error("planning changed the machine")
	}
	tree["web.yaml"] = &fstest.MapFile{Data: []byte("kind: [")}
	var refusal *Refusal
	if _, err := p.Plan(t.Context(), w.admin, w.env, Tree{Files: tree}); !errors.As(err, &refusal) || refusal.Reason != v1alpha1.RenderFailedReason {
		t.Errorf("error = %v, want a refusal to render", err)
	}
}

func TestSchemasNameFileAndLine(t *testing.T) {
	w := newWorld(t)
	validator := must(schema.FromFS(crd.Files))(t)
	p := &Planner{Renderer: render.New(2, validator), Mapper: w.admin.RESTMapper()}
	tests := map[string]struct {
		machine string
		texts   []string
	}{
		"an unknown field": {webMachine + "  tint: red\n", []string{"web.yaml:10", "tint"}},
		"a wrong type":     {strings.Replace(webMachine, "cores: 1", "cores: many", 1), []string{"web.yaml:7", "cores"}},
	}
	for name, test := range tests {
		tree := fstest.MapFS{"web.yaml": {Data: []byte(test.machine)}}
		_, err := p.Plan(t.Context(), w.admin, w.env, Tree{Files: tree})
		var refusal *Refusal
		if !errors.As(err, &refusal) || refusal.Reason != v1alpha1.ValidationFailedReason {
			t.Fatalf("%s: %v, want a refusal with ValidationFailed", name, err)
		}
		for _, text := range test.texts {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q, want %q in it", name, err, text)
			}
		}
	}
}
