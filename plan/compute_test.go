package plan_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
)

const (
	disk      = "{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualDisk, metadata: {name: root, namespace: team}, spec: {persistentVolumeClaim: {size: 2Gi}, dataSource: {type: HTTP, http: {url: 'http://a'}}}}"
	diskOther = "{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualDisk, metadata: {name: root, namespace: team}, spec: {persistentVolumeClaim: {size: 2Gi}, dataSource: {type: HTTP, http: {url: 'http://b'}}}}"
	diskSmall = "{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualDisk, metadata: {name: root, namespace: team}, spec: {persistentVolumeClaim: {size: 1Gi}, dataSource: {type: HTTP, http: {url: 'http://a'}}}}"
	diskLarge = "{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualDisk, metadata: {name: root, namespace: team}, spec: {persistentVolumeClaim: {size: 3Gi}, dataSource: {type: HTTP, http: {url: 'http://a'}}}}"
	machine2  = "{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualMachine, metadata: {name: web, namespace: team}, spec: {cpu: {cores: 2}, memory: {size: 1Gi}, blockDeviceRefs: [{kind: VirtualDisk, name: root}]}}"
	operation = "{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualMachineOperation, metadata: {name: go, namespace: team}, spec: {type: Start, virtualMachineName: web}}"
)

// outline is a change without what tests of verdicts do not look at.
type outline struct {
	Key      string
	Verdict  plan.Verdict
	Reason   string
	Approval bool
}

func outlines(changes []plan.Change) []outline {
	var list []outline
	for _, c := range changes {
		list = append(list, outline{c.Key().String(), c.Verdict, c.Reason, c.NeedsApproval})
	}
	return list
}

func restartsAlways(_, _ *unstructured.Unstructured) (plan.Verdict, error) { return plan.Restart, nil }

func refusesAlways(_, _ *unstructured.Unstructured) (plan.Verdict, error) {
	return "", errors.New("cannot be read")
}

var machineKind = schema.GroupKind{Group: "virtualization.deckhouse.io", Kind: "VirtualMachine"}

func TestComputeVerdicts(t *testing.T) {
	ready := "status: {phase: Ready}"
	tests := map[string]struct {
		desired, live, state string
		policy               v1alpha1.Prune
		decider              plan.Decider
		want                 outline
	}{
		"not there":                     {desired: machine, want: outline{Verdict: plan.Create}},
		"unchanged":                     {desired: machine, live: machine, want: outline{Verdict: plan.None}},
		"changed, no decider":           {desired: machine2, live: machine, want: outline{Verdict: plan.Live}},
		"changed, the decider says":     {desired: machine2, live: machine, decider: restartsAlways, want: outline{Verdict: plan.Restart}},
		"changed past the source":       {desired: machine, live: machine, state: "spec: {cpu: {cores: 8}}", want: outline{Verdict: plan.Live, Reason: plan.ReasonDrift}},
		"disk grows":                    {desired: diskLarge, live: disk, state: ready, want: outline{Verdict: plan.Live}},
		"source of a ready disk":        {desired: diskOther, live: disk, state: ready, want: outline{Verdict: plan.Replace, Reason: plan.ReasonImmutable, Approval: true}},
		"source of an approved disk":    {desired: diskOther, live: disk, state: ready, policy: v1alpha1.Prune{Approved: []types.UID{"uid-virtualdisk-root"}}, want: outline{Verdict: plan.Replace, Reason: plan.ReasonImmutable}},
		"source of a disk without data": {desired: diskOther, live: disk, state: "status: {phase: Provisioning}", want: outline{Verdict: plan.Live}},
		"source of a disk that failed":  {desired: diskOther, live: disk, state: "status: {phase: Failed}", want: outline{Verdict: plan.Live}},
		"an operation":                  {desired: strings.Replace(operation, "Start", "Stop", 1), live: operation, want: outline{Verdict: plan.Replace, Reason: plan.ReasonImmutable}},
		"an operation under Confirm":    {desired: strings.Replace(operation, "Start", "Stop", 1), live: operation, policy: v1alpha1.Prune{Policy: v1alpha1.PruneConfirm}, want: outline{Verdict: plan.Replace, Reason: plan.ReasonImmutable, Approval: true}},
		"being deleted":                 {desired: machine, live: machine, state: "metadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}", want: outline{Verdict: plan.Create, Reason: plan.ReasonTerminating}},
		"released before, comes back":   {desired: disk, live: disk, state: "metadata: {labels: {gitops.slipway.dev/released: 'true'}}", want: outline{Verdict: plan.Live, Reason: plan.ReasonDrift}},
		"released by another":           {desired: disk, live: disk, state: "metadata: {labels: {gitops.slipway.dev/released: 'true', gitops.slipway.dev/environment: other}}", want: outline{Verdict: plan.Live, Reason: plan.ReasonDrift}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := plan.Input{Owner: owner, Desired: []*unstructured.Unstructured{desired(t, test.desired)}, Policy: test.policy}
			if test.live != "" {
				had := live(t, test.live, test.state)
				in.Live = []*unstructured.Unstructured{had}
				in.Inventory = []v1alpha1.InventoryEntry{entry(had)}
			}
			if test.decider != nil {
				in.Deciders = map[schema.GroupKind]plan.Decider{machineKind: test.decider}
			}
			p := plan.Compute(in)
			test.want.Key = plan.KeyOf(in.Desired[0]).String()
			if diff := cmp.Diff([]outline{test.want}, outlines(p.Changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s\nproblems: %v", diff, p.Problems)
			}
		})
	}
}

func TestComputeAdoptsWhatIsNotInTheInventory(t *testing.T) {
	had := live(t, machine, "metadata: {labels: {gitops.slipway.dev/environment: ''}}")
	p := plan.Compute(plan.Input{Owner: owner, Desired: []*unstructured.Unstructured{desired(t, machine2)}, Live: []*unstructured.Unstructured{had}})
	want := []outline{{"VirtualMachine team/web", plan.Live, plan.ReasonAdopt, false}}
	if diff := cmp.Diff(want, outlines(p.Changes)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestComputeProblems(t *testing.T) {
	tests := map[string]struct {
		desired []string
		live    []*unstructured.Unstructured
		decider plan.Decider
		reason  string
		text    string
	}{
		"a disk shrinks": {
			desired: []string{diskSmall}, live: []*unstructured.Unstructured{live(t, disk, "status: {phase: Ready}")},
			reason: v1alpha1.ChangeRefusedReason, text: "cannot shrink",
		},
		"the CPU of a class": {
			desired: []string{"{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualMachineClass, metadata: {name: fast}, spec: {cpu: {type: Host}}}"},
			live:    []*unstructured.Unstructured{live(t, "{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualMachineClass, metadata: {name: fast}, spec: {cpu: {type: HostPassthrough}}}", "")},
			reason:  v1alpha1.ChangeRefusedReason, text: "give the new class a new name",
		},
		"an object of another Environment": {
			desired: []string{machine}, live: []*unstructured.Unstructured{live(t, machine, "metadata: {labels: {gitops.slipway.dev/environment: other}}")},
			reason: v1alpha1.OwnedByAnotherReason, text: "VirtualMachine team/web belongs to the Environment team/other",
		},
		"a change that no decider can judge": {
			desired: []string{machine2}, live: []*unstructured.Unstructured{live(t, machine, "")}, decider: refusesAlways,
			reason: v1alpha1.ChangeRefusedReason, text: "cannot be read",
		},
		"a ring": {
			desired: []string{
				"{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualImage, metadata: {name: a, namespace: team}, spec: {dataSource: {type: ObjectRef, objectRef: {kind: VirtualDisk, name: b}}}}",
				"{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualDisk, metadata: {name: b, namespace: team}, spec: {dataSource: {type: ObjectRef, objectRef: {kind: VirtualImage, name: a}}}}",
			},
			reason: v1alpha1.DependencyCycleReason, text: "VirtualImage team/a → VirtualDisk team/b → VirtualImage team/a",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := plan.Input{Owner: owner, Live: test.live, Deciders: map[schema.GroupKind]plan.Decider{machineKind: test.decider}}
			for _, text := range test.desired {
				in.Desired = append(in.Desired, desired(t, text))
			}
			p := plan.Compute(in)
			if len(p.Problems) != 1 || p.Problems[0].Reason != test.reason || !strings.Contains(p.Problems[0].Message, test.text) {
				t.Errorf("problems = %+v, want one %s with %q", p.Problems, test.reason, test.text)
			}
		})
	}
}

func TestComputePrune(t *testing.T) {
	approved := []types.UID{"uid-virtualdisk-root", "uid-virtualmachine-web"}
	type fate struct{ machine, disk outline }
	gone := func(v plan.Verdict, reason string, approval bool) outline { return outline{"", v, reason, approval} }
	tests := map[string]struct {
		policy v1alpha1.Prune
		state  string
		want   fate
	}{
		"Retain":           {v1alpha1.Prune{Policy: v1alpha1.PruneRetain}, "", fate{gone(plan.Destroy, "", false), gone(plan.Retain, plan.ReasonHoldsData, false)}},
		"not said":         {v1alpha1.Prune{}, "", fate{gone(plan.Destroy, "", false), gone(plan.Retain, plan.ReasonHoldsData, false)}},
		"Retain, approved": {v1alpha1.Prune{Policy: v1alpha1.PruneRetain, Approved: approved}, "", fate{gone(plan.Destroy, plan.ReasonApproved, false), gone(plan.Destroy, plan.ReasonApproved, false)}},
		"Confirm":          {v1alpha1.Prune{Policy: v1alpha1.PruneConfirm}, "", fate{gone(plan.Destroy, "", true), gone(plan.Destroy, "", true)}},
		"Confirm, approved": {v1alpha1.Prune{Policy: v1alpha1.PruneConfirm, Approved: approved}, "", fate{
			gone(plan.Destroy, plan.ReasonApproved, false), gone(plan.Destroy, plan.ReasonApproved, false),
		}},
		"Delete":       {v1alpha1.Prune{Policy: v1alpha1.PruneDelete}, "", fate{gone(plan.Destroy, "", false), gone(plan.Destroy, plan.ReasonHoldsData, true)}},
		"kept by hand": {v1alpha1.Prune{Policy: v1alpha1.PruneDelete, Approved: approved}, "metadata: {annotations: {gitops.slipway.dev/prune: Disabled}}", fate{gone(plan.Retain, plan.ReasonKept, false), gone(plan.Retain, plan.ReasonKept, false)}},
		"being deleted": {v1alpha1.Prune{Policy: v1alpha1.PruneConfirm}, "metadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}", fate{
			gone(plan.Destroy, plan.ReasonTerminating, false), gone(plan.Destroy, plan.ReasonTerminating, false),
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			vm, vd := live(t, machine, test.state), live(t, disk, test.state)
			p := plan.Compute(plan.Input{
				Owner: owner, Live: []*unstructured.Unstructured{vd, vm},
				Inventory: []v1alpha1.InventoryEntry{entry(vd), entry(vm)}, Policy: test.policy,
			})
			test.want.machine.Key, test.want.disk.Key = "VirtualMachine team/web", "VirtualDisk team/root"
			want := []outline{test.want.machine, test.want.disk}
			if diff := cmp.Diff(want, outlines(p.Changes)); diff != "" {
				t.Errorf("changes, the machine before its disk (-want +got):\n%s", diff)
			}
		})
	}
}

func TestComputePruneLeavesAlone(t *testing.T) {
	tests := map[string]struct {
		live []*unstructured.Unstructured
	}{
		"what is gone":               {},
		"what somebody took over":    {live: []*unstructured.Unstructured{live(t, machine, "metadata: {labels: {gitops.slipway.dev/environment: other}}")}},
		"what lost its owner's name": {live: []*unstructured.Unstructured{live(t, machine, "metadata: {labels: {gitops.slipway.dev/environment: ''}}")}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := plan.Compute(plan.Input{Owner: owner, Live: test.live, Inventory: []v1alpha1.InventoryEntry{entry(live(t, machine, ""))}})
			if len(p.Changes) != 0 {
				t.Errorf("changes = %+v, want none", p.Changes)
			}
		})
	}
}

func TestComputeTombstones(t *testing.T) {
	kept := live(t, disk, "metadata: {labels: {gitops.slipway.dev/released: 'true'}}")
	tombstone := v1alpha1.Tombstone{ObjectReference: plan.ReferenceOf(kept), UID: kept.GetUID()}
	tests := map[string]struct {
		approved []types.UID
		uid      types.UID
		want     []outline
	}{
		"stays":                                 {uid: kept.GetUID()},
		"goes when approved":                    {uid: kept.GetUID(), approved: []types.UID{kept.GetUID()}, want: []outline{{"VirtualDisk team/root", plan.Destroy, plan.ReasonApproved, false}}},
		"another object of the same name stays": {uid: "older", approved: []types.UID{kept.GetUID()}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tombstone.UID = test.uid
			p := plan.Compute(plan.Input{
				Owner: owner, Live: []*unstructured.Unstructured{kept},
				Tombstones: []v1alpha1.Tombstone{tombstone}, Policy: v1alpha1.Prune{Approved: test.approved},
			})
			if diff := cmp.Diff(test.want, outlines(p.Changes)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestComputeRename(t *testing.T) {
	renamed := strings.Replace(disk, "name: root", "name: system", 1)
	other := strings.Replace(diskLarge, "name: root", "name: system", 1)
	had := live(t, disk, "status: {phase: Ready}")
	for name, test := range map[string]struct{ desired, want string }{
		"the same under another name": {renamed, "root"},
		"something else":              {other, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := plan.Compute(plan.Input{
				Owner: owner, Desired: []*unstructured.Unstructured{desired(t, test.desired)},
				Live: []*unstructured.Unstructured{had}, Inventory: []v1alpha1.InventoryEntry{entry(had)},
			})
			if got := p.Changes[0].RenamedFrom; got != test.want {
				t.Errorf("renamed from %q, want %q", got, test.want)
			}
		})
	}
}

func TestOrder(t *testing.T) {
	meta := func(kind, name, spec string) *unstructured.Unstructured {
		return object(t, "{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: "+kind+", metadata: {name: "+name+", namespace: team}, spec: "+spec+"}")
	}
	in := []*unstructured.Unstructured{
		meta("VirtualMachineOperation", "go", "{virtualMachineName: web}"),
		meta("VirtualMachine", "web", "{virtualMachineIPAddressName: web, virtualMachineClassName: fast, provisioning: {userDataRef: {kind: Secret, name: boot}}, blockDeviceRefs: [{kind: VirtualDisk, name: root}]}"),
		meta("VirtualDisk", "root", "{dataSource: {objectRef: {kind: VirtualImage, name: copy}}}"),
		meta("VirtualImage", "copy", "{dataSource: {objectRef: {kind: VirtualDisk, name: golden}}}"),
		meta("VirtualDisk", "golden", "{}"),
		meta("VirtualMachineIPAddress", "web", "{}"),
		object(t, "{apiVersion: v1, kind: Secret, metadata: {name: boot, namespace: team}}"),
		object(t, "{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualMachineClass, metadata: {name: fast}}"),
		object(t, "{apiVersion: v1, kind: Namespace, metadata: {name: team}}"),
	}
	want := []string{
		"Namespace team", "Secret team/boot", "VirtualMachineClass fast", "VirtualDisk team/golden", "VirtualImage team/copy",
		"VirtualDisk team/root", "VirtualMachineIPAddress team/web", "VirtualMachine team/web", "VirtualMachineOperation team/go",
	}
	for range 3 {
		ordered, err := plan.Order(in)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, u := range ordered {
			got = append(got, plan.KeyOf(u).String())
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		in = append(in[3:], in[:3]...)
	}
}

func TestDigest(t *testing.T) {
	compute := func(revision, text string) plan.Plan {
		return plan.Compute(plan.Input{Owner: owner, Revision: revision, Desired: []*unstructured.Unstructured{desired(t, text)}})
	}
	if a, b := compute("one", machine), compute("two", machine); a.Digest != b.Digest {
		t.Error("the digest depends on the revision")
	}
	if a, b := compute("one", machine), compute("one", disk); a.Digest == b.Digest {
		t.Error("different changes have one digest")
	}
}

func TestText(t *testing.T) {
	vm, vd := live(t, machine, "status: {phase: Running}"), live(t, disk, "status: {phase: Ready}")
	secret := live(t, "{apiVersion: v1, kind: Secret, metadata: {name: boot, namespace: team}, data: {userData: b25l}}", "")
	p := plan.Compute(plan.Input{
		Owner: owner,
		Desired: []*unstructured.Unstructured{
			desired(t, machine2),
			desired(t, "{apiVersion: v1, kind: Secret, metadata: {name: boot, namespace: team}, stringData: {userData: s3cr3t}}"),
			desired(t, "{apiVersion: v1, kind: ConfigMap, metadata: {name: new, namespace: team}}"),
		},
		Live:      []*unstructured.Unstructured{vm, vd, secret},
		Inventory: []v1alpha1.InventoryEntry{entry(vm), entry(vd), entry(secret)},
		Deciders:  map[schema.GroupKind]plan.Decider{machineKind: restartsAlways},
	})
	var b strings.Builder
	if err := plan.Text(&b, p); err != nil {
		t.Fatal(err)
	}
	want := `  + Create   ConfigMap team/new
  ~ Live     Secret team/boot
      data.userData: changed (not shown)
  ! Restart  VirtualMachine team/web
      spec.cpu.cores: 1 → 2
  = Retain   VirtualDisk team/root (HoldsData)
1 to create, 1 to change, 1 to change at a restart, 1 to retain
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
}

// TestCVE_2026_45737 of Argo CD: the annotation of the last apply showed what the fields of a Secret hid.
func TestCVE_2026_45737(t *testing.T) {
	had := live(t, "{apiVersion: v1, kind: Secret, metadata: {name: boot, namespace: team}, data: {userData: b25l}}", "")
	had.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": `{"data":{"userData":"b25l"}}`})
	plan.Redact(had)
	p := plan.Compute(plan.Input{
		Owner:   owner,
		Desired: []*unstructured.Unstructured{desired(t, "{apiVersion: v1, kind: Secret, metadata: {name: boot, namespace: team}, stringData: {userData: s3cr3t}}")},
		Live:    []*unstructured.Unstructured{had}, Inventory: []v1alpha1.InventoryEntry{entry(had)},
	})
	content := dump(t, p) + dump(t, had.Object)
	for _, secret := range []string{"s3cr3t", "czNjcjN0", "b25l"} {
		if strings.Contains(content, secret) {
			t.Errorf("the plan or what is compared holds %q: %s", secret, content)
		}
	}
	if p.Summary.Live != 1 {
		t.Errorf("summary = %+v, want one live change", p.Summary)
	}
}

func TestStampOfASecretIsLeftOut(t *testing.T) {
	u := desired(t, "{apiVersion: v1, kind: Secret, metadata: {name: boot}, data: {a: YQ==}}")
	if _, found := u.GetAnnotations()[plan.StampAnnotation]; found {
		t.Error("a Secret carries a digest of its content")
	}
}

func TestHoldsData(t *testing.T) {
	tests := map[string]struct {
		object string
		want   bool
	}{
		"disk":                  {disk, true},
		"machine":               {machine, false},
		"namespace":             {"{apiVersion: v1, kind: Namespace, metadata: {name: a}}", true},
		"claim":                 {"{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a}}", true},
		"KubeVirt machine":      {"{apiVersion: kubevirt.io/v1, kind: VirtualMachine, metadata: {name: a}}", false},
		"KubeVirt with volumes": {"{apiVersion: kubevirt.io/v1, kind: VirtualMachine, metadata: {name: a}, spec: {dataVolumeTemplates: [{}]}}", true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := plan.HoldsData(object(t, test.object)); got != test.want {
				t.Errorf("HoldsData = %v, want %v", got, test.want)
			}
		})
	}
}
