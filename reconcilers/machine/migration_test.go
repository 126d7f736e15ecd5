package machine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

func TestMigrationOf(t *testing.T) {
	start, end := metav1.NewTime(time.Unix(1000, 0)), metav1.NewTime(time.Unix(1030, 0))
	source, target := v1alpha2.VirtualMachineLocation{Node: "n1", Pod: "p1"}, v1alpha2.VirtualMachineLocation{Node: "n2", Pod: "p2"}
	state := func(change func(*kubevirtv1.VirtualMachineInstanceMigrationState)) *kubevirtv1.VirtualMachineInstanceMigrationState {
		s := &kubevirtv1.VirtualMachineInstanceMigrationState{StartTimestamp: &start, SourceNode: "n1", SourcePod: "p1", TargetNode: "n2", TargetPod: "p2"}
		change(s)
		return s
	}
	cases := map[string]struct {
		state *kubevirtv1.VirtualMachineInstanceMigrationState
		want  *v1alpha2.VirtualMachineMigrationState
	}{
		"it never moved": {nil, nil},
		"it moves": {
			state(func(*kubevirtv1.VirtualMachineInstanceMigrationState) {}),
			&v1alpha2.VirtualMachineMigrationState{StartTimestamp: &start, Source: source, Target: target},
		},
		"it moved": {
			state(func(s *kubevirtv1.VirtualMachineInstanceMigrationState) { s.EndTimestamp, s.Completed = &end, true }),
			&v1alpha2.VirtualMachineMigrationState{StartTimestamp: &start, EndTimestamp: &end, Source: source, Target: target, Result: v1alpha2.MigrationSucceeded},
		},
		"it failed, which completes it": {
			state(func(s *kubevirtv1.VirtualMachineInstanceMigrationState) {
				s.EndTimestamp, s.Completed, s.Failed = &end, true, true
			}),
			&v1alpha2.VirtualMachineMigrationState{StartTimestamp: &start, EndTimestamp: &end, Source: source, Target: target, Result: v1alpha2.MigrationFailed},
		},
		"it failed before it began": {
			&kubevirtv1.VirtualMachineInstanceMigrationState{Failed: true, SourceNode: "n1"},
			&v1alpha2.VirtualMachineMigrationState{Source: v1alpha2.VirtualMachineLocation{Node: "n1"}, Result: v1alpha2.MigrationFailed},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, migrationOf(c.state)); diff != "" {
				t.Errorf("migration (-want +got):\n%s", diff)
			}
		})
	}
}
