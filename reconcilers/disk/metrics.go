package disk

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/reconcilers/internal/census"
)

// counted is what is told of disks as metrics.
func counted() census.Kind {
	return census.Kind{
		Name: controllerName,
		List: func() client.ObjectList { return &v1alpha2.VirtualDiskList{} },
		Tell: func(obj client.Object, t census.Teller) {
			if vd, ok := obj.(*v1alpha2.VirtualDisk); ok {
				count(vd, t)
			}
		},
	}
}

func count(vd *v1alpha2.VirtualDisk, t census.Teller) {
	census.Phases(t, vd.Status.Phase, v1alpha2.DiskPending, v1alpha2.DiskProvisioning, v1alpha2.DiskWaitForUserUpload,
		v1alpha2.DiskWaitForFirstConsumer, v1alpha2.DiskReady, v1alpha2.DiskResizing, v1alpha2.DiskExporting,
		v1alpha2.DiskMigrating, v1alpha2.DiskPVCLost, v1alpha2.DiskFailed, v1alpha2.DiskTerminating)
	t.Metadata()
	if capacity, err := resource.ParseQuantity(vd.Status.Capacity); err == nil {
		t.Gauge("capacity_bytes", "The size of the disk.", float64(capacity.Value()), nil)
	}
	t.Gauge("status_in_use", "Whether something uses the disk.",
		census.Bit(meta.IsStatusConditionTrue(vd.Status.Conditions, vdcondition.InUseType)), nil)
	t.Gauge("info", "Where the disk is.", 1, map[string]string{
		"storageclass": vd.Status.StorageClassName, "persistentvolumeclaim": vd.Status.Target.PersistentVolumeClaimName,
	})
}
