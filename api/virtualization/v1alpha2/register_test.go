package v1alpha2_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

func TestKindsAreRegistered(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha2.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{
		v1alpha2.ClusterVirtualImageKind, v1alpha2.VirtualDiskKind, v1alpha2.VirtualDiskSnapshotKind, v1alpha2.VirtualImageKind,
		v1alpha2.VirtualMachineKind, v1alpha2.VirtualMachineBlockDeviceAttachmentKind, v1alpha2.VirtualMachineClassKind,
		v1alpha2.VirtualMachineIPAddressKind, v1alpha2.VirtualMachineIPAddressLeaseKind, v1alpha2.VirtualMachineMACAddressKind,
		v1alpha2.VirtualMachineMACAddressLeaseKind, v1alpha2.VirtualMachineOperationKind, v1alpha2.VirtualMachineRestoreKind,
		v1alpha2.VirtualMachineSnapshotKind, v1alpha2.VirtualMachineSnapshotOperationKind,
	} {
		for _, name := range []string{kind, kind + "List"} {
			if !scheme.Recognizes(v1alpha2.SchemeGroupVersion.WithKind(name)) {
				t.Errorf("%s is not registered", name)
			}
		}
	}
}

// TestWritesWhatItRead has values that a careless tag would drop or add: false and zero that differ from the default,
// open objects, and a status that is not there.
func TestWritesWhatItRead(t *testing.T) {
	tests := map[string]struct {
		object any
		text   string
	}{
		"machine": {&v1alpha2.VirtualMachine{}, `
apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata: {name: web}
spec:
  virtualMachineClassName: generic
  runPolicy: AlwaysOn
  enableParavirtualization: false
  terminationGracePeriodSeconds: 0
  cpu: {cores: 2, coreFraction: 50%}
  memory: {size: 1Gi}
  blockDeviceRefs: [{kind: VirtualDisk, name: root}]
  networks: [{id: 1, type: Main}]
status:
  phase: Running
  guestOSInfo: {name: Debian, versionId: "13"}
  restartAwaitingChanges:
  - {operation: replace, path: cpu.cores, currentValue: 2, desiredValue: 4}
  - {operation: add, path: nodeSelector, desiredValue: {a: b}}
`},
		"machine without status": {&v1alpha2.VirtualMachine{}, `
metadata: {name: web}
spec: {virtualMachineClassName: generic, cpu: {cores: 1}, memory: {size: 1Gi}, blockDeviceRefs: [{kind: VirtualDisk, name: root}]}
`},
		"blank disk": {&v1alpha2.VirtualDisk{}, `
metadata: {name: data}
spec: {persistentVolumeClaim: {size: 1Gi}}
`},
		"snapshot that may be inconsistent": {&v1alpha2.VirtualDiskSnapshot{}, `
metadata: {name: s}
spec: {virtualDiskName: data, requiredConsistency: false}
status: {phase: Ready, consistent: false}
`},
		"lease without holder": {&v1alpha2.VirtualMachineIPAddressLease{}, `
metadata: {name: ip-10-66-10-5}
status: {phase: Released}
`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := yaml.UnmarshalStrict([]byte(test.text), test.object); err != nil {
				t.Fatal(err)
			}
			written, err := json.Marshal(test.object)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tree(t, []byte(test.text)), tree(t, written)); diff != "" {
				t.Errorf("written differs from read (-want +got):\n%s", diff)
			}
		})
	}
}

func tree(t *testing.T, text []byte) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := yaml.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}
