package snapshot

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/internal/census"
)

// counted is what is told of snapshots as metrics.
func counted() census.Kind {
	return census.Kind{
		Name: controllerName,
		List: func() client.ObjectList { return &v1alpha2.VirtualDiskSnapshotList{} },
		Tell: func(obj client.Object, t census.Teller) {
			snapshot, ok := obj.(*v1alpha2.VirtualDiskSnapshot)
			if !ok {
				return
			}
			census.Phases(t, snapshot.Status.Phase, v1alpha2.SnapshotPending, v1alpha2.SnapshotInProgress,
				v1alpha2.SnapshotReady, v1alpha2.SnapshotFailed, v1alpha2.SnapshotTerminating)
			t.Gauge("info", "What the snapshot is of.", 1, map[string]string{
				"virtualdisk": snapshot.Spec.VirtualDiskName, "volumesnapshot": snapshot.Status.VolumeSnapshotName,
			})
		},
	}
}
