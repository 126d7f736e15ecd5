package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
)

const machine = `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata: {name: web, namespace: team}
spec:
  cpu: {cores: 1}
  memory: {size: 1Gi}
  blockDeviceRefs:
  - {kind: VirtualDisk, name: root}
`

func TestDiff(t *testing.T) {
	tests := map[string]struct {
		desired, live, defaults string
		want                    []plan.FieldChange
	}{
		"the same object": {desired: machine, live: machine},
		"defaults and status are not compared": {
			desired: machine, live: machine,
			defaults: "spec: {runPolicy: AlwaysOn, cpu: {coreFraction: 100%}}\nstatus: {phase: Running}",
		},
		"a field filled in within an item of a list": {
			desired: machine, live: machine,
			defaults: "spec: {blockDeviceRefs: [{kind: VirtualDisk, name: root, bootOrder: 1}]}",
		},
		"a value that means the same": {
			desired: machine, live: machine, defaults: "spec: {memory: {size: 1024Mi}}",
		},
		"a scalar": {
			desired: machine, live: machine, defaults: "spec: {cpu: {cores: 2}}",
			want: []plan.FieldChange{{Path: "spec.cpu.cores", From: int64(2), To: int64(1)}},
		},
		"a label that somebody changed": {
			desired: machine, live: machine, defaults: "metadata: {labels: {gitops.slipway.dev/environment: other}}",
			want: []plan.FieldChange{{Path: "metadata.labels.gitops.slipway.dev/environment", From: "other", To: "prod"}},
		},
		"labels of others stay": {
			desired: machine, live: machine, defaults: "metadata: {labels: {somebody: else}}",
		},
		"digits in strings are not numbers": {
			desired: "{apiVersion: v1, kind: X, metadata: {name: a}, spec: {code: '010'}}",
			live:    "{apiVersion: v1, kind: X, metadata: {name: a}, spec: {code: '010'}}", defaults: "spec: {code: '10'}",
			want: []plan.FieldChange{{Path: "spec.code", From: "10", To: "010"}},
		},
		"data is compared as it is written": {
			desired: "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {size: 1Gi}}",
			live:    "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {size: 1Gi}}", defaults: "data: {size: 1024Mi}",
			want: []plan.FieldChange{{Path: "data.size", From: "1024Mi", To: "1Gi"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := plan.Diff(desired(t, test.desired), live(t, test.live, test.defaults))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDiffOfTheSource(t *testing.T) {
	const changed = `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata: {name: web, namespace: team}
spec:
  cpu: {cores: 1}
  blockDeviceRefs:
  - {kind: VirtualDisk, name: root}
  - {kind: VirtualDisk, name: data}
`
	tests := map[string]struct {
		before, after string
		want          []plan.FieldChange
	}{
		"a field that is desired no longer, and an item at the end": {
			before: machine, after: changed,
			want: []plan.FieldChange{
				{Path: "spec.blockDeviceRefs.1", To: map[string]any{"kind": "VirtualDisk", "name": "data"}},
				{Path: "spec.memory", From: map[string]any{"size": "1Gi"}},
			},
		},
		"a field that goes from an item of a list": {
			before: "{apiVersion: v1, kind: X, metadata: {name: a}, spec: {items: [{name: x, order: 2}]}}",
			after:  "{apiVersion: v1, kind: X, metadata: {name: a}, spec: {items: [{name: x}]}}",
			want:   []plan.FieldChange{{Path: "spec.items.0.order", From: int64(2)}},
		},
		"a first-boot password is not shown": {
			before: "{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualMachine, metadata: {name: a}, spec: {provisioning: {type: UserData, userData: 'password: one'}}}",
			after:  "{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualMachine, metadata: {name: a}, spec: {provisioning: {type: UserData, userData: 'password: two'}}}",
			want:   []plan.FieldChange{{Path: "spec.provisioning.userData", Hidden: true}},
		},
		"a Secret": {
			before: "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {key: b25l, same: b25l}}",
			after:  "{apiVersion: v1, kind: Secret, metadata: {name: a}, stringData: {key: two, same: one}}",
			want:   []plan.FieldChange{{Path: "data.key", Hidden: true}},
		},
		"a Secret whose base64 is written in lines": {
			before: "{apiVersion: v1, kind: Secret, metadata: {name: a}, data: {key: b25l}}",
			after:  "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  key: |\n    b2\n    5l\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := plan.Diff(desired(t, test.after), live(t, test.before, ""))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

// TestDiffOfKeyedLists uses managed fields as the API server writes them for
// lists with keys and sets.
func TestDiffOfKeyedLists(t *testing.T) {
	const text = `
apiVersion: v1
kind: Thing
metadata: {name: a}
spec:
  ports: [{name: http, port: 80}, {name: ssh, port: 22}]
  groups: [a, b]
`
	const fields = `{"f:spec":{
		"f:ports":{"k:{\"name\":\"http\"}":{".":{},"f:name":{},"f:port":{}},"k:{\"name\":\"ssh\"}":{".":{},"f:name":{},"f:port":{}}},
		"f:groups":{"v:\"a\"":{},"v:\"b\"":{}}}}`
	tests := map[string]struct {
		desired string
		want    []plan.FieldChange
	}{
		"items of others and another order do not matter": {desired: text},
		"an item changes": {
			desired: "{apiVersion: v1, kind: Thing, metadata: {name: a}, spec: {ports: [{name: http, port: 8080}, {name: ssh, port: 22}], groups: [a, b]}}",
			want:    []plan.FieldChange{{Path: "spec.ports.0.port", From: int64(80), To: int64(8080)}},
		},
		"an item goes": {
			desired: "{apiVersion: v1, kind: Thing, metadata: {name: a}, spec: {ports: [{name: http, port: 80}], groups: [a, b]}}",
			want:    []plan.FieldChange{{Path: "spec.ports.2", From: map[string]any{"name": "ssh", "port": int64(22)}}},
		},
		"an item comes": {
			desired: "{apiVersion: v1, kind: Thing, metadata: {name: a}, spec: {ports: [{name: http, port: 80}, {name: ssh, port: 22}, {name: dns, port: 53}], groups: [a, b]}}",
			want:    []plan.FieldChange{{Path: "spec.ports.2", To: map[string]any{"name": "dns", "port": int64(53)}}},
		},
		"a member of a set goes": {
			desired: "{apiVersion: v1, kind: Thing, metadata: {name: a}, spec: {ports: [{name: http, port: 80}, {name: ssh, port: 22}], groups: [b]}}",
			want:    []plan.FieldChange{{Path: "spec.groups", From: "a"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			had := object(t, `
apiVersion: v1
kind: Thing
metadata: {name: a}
spec:
  ports: [{name: other, port: 1}, {name: http, port: 80}, {name: ssh, port: 22}]
  groups: [z, b, a]
`)
			had.SetManagedFields([]metav1.ManagedFieldsEntry{{
				Manager: v1alpha1.FieldManager, Operation: metav1.ManagedFieldsOperationApply, FieldsV1: metav1.NewFieldsV1(fields),
			}})
			got := plan.Diff(object(t, test.desired), had)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPredict(t *testing.T) {
	had := live(t, machine, "spec: {runPolicy: AlwaysOn, blockDeviceRefs: [{kind: VirtualDisk, name: root, bootOrder: 1}]}\nstatus: {phase: Running}")
	wanted := desired(t, `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata: {name: web, namespace: team}
spec:
  cpu: {cores: 4}
  blockDeviceRefs:
  - {kind: VirtualDisk, name: root}
`)
	next := plan.Predict(wanted, had)
	want := map[string]any{
		"cpu":       map[string]any{"cores": int64(4)},
		"runPolicy": "AlwaysOn",
		"blockDeviceRefs": []any{
			map[string]any{"kind": "VirtualDisk", "name": "root", "bootOrder": int64(1)},
		},
	}
	if diff := cmp.Diff(want, next.Object["spec"]); diff != "" {
		t.Errorf("spec after the apply (-want +got):\n%s", diff)
	}
	if cores := had.Object["spec"].(map[string]any)["cpu"].(map[string]any)["cores"]; cores != int64(1) {
		t.Errorf("the live object was changed: cores = %v", cores)
	}
}
