package admission

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

const makeAnother = "it cannot change once it is ready: make another"

func judgeDisk(ctx context.Context, reader client.Reader, r revision[*v1alpha2.VirtualDisk]) (verdict, error) {
	if r.updates {
		return verdict{errors: checkDiskChange(r.old, r.new)}, nil
	}
	isISO, err := sourceIsISO(ctx, reader, r.new)
	return verdict{errors: checkDisk(r.new, isISO)}, err
}

func checkDisk(disk *v1alpha2.VirtualDisk, sourceIsISO bool) field.ErrorList {
	errs := checkName(disk, maxDiskName, false)
	size := disk.Spec.PersistentVolumeClaim.Size
	path := specPath.Child("persistentVolumeClaim", "size")
	switch {
	case size != nil && size.Sign() <= 0:
		errs = append(errs, field.Invalid(path, size.String(), "use a size such as 10Gi"))
	case size == nil && disk.Spec.DataSource == nil:
		errs = append(errs, field.Required(path, "a blank disk needs a size"))
	}
	if sourceIsISO {
		errs = append(errs, field.Invalid(specPath.Child("dataSource", "objectRef", "name"), disk.Spec.DataSource.ObjectRef.Name,
			"an ISO image cannot become a disk: attach it to a machine as it is"))
	}
	return errs
}

// sourceIsISO tells whether the disk's source is an image that is known to be an
// ISO.
func sourceIsISO(ctx context.Context, reader client.Reader, disk *v1alpha2.VirtualDisk) (bool, error) {
	if disk.Spec.DataSource == nil || disk.Spec.DataSource.ObjectRef == nil {
		return false, nil
	}
	switch ref := disk.Spec.DataSource.ObjectRef; string(ref.Kind) {
	case v1alpha2.VirtualImageKind:
		image, err := find(ctx, reader, client.ObjectKey{Namespace: disk.Namespace, Name: ref.Name}, &v1alpha2.VirtualImage{})
		return image != nil && image.Status.CDROM, err
	case v1alpha2.ClusterVirtualImageKind:
		image, err := find(ctx, reader, client.ObjectKey{Name: ref.Name}, &v1alpha2.ClusterVirtualImage{})
		return image != nil && image.Status.CDROM, err
	default:
		return false, nil
	}
}

// filledPhases are the phases of a disk that has its content, madePhases also
// those of one whose volume may exist.
var (
	filledPhases = map[v1alpha2.DiskPhase]bool{
		v1alpha2.DiskReady: true, v1alpha2.DiskResizing: true, v1alpha2.DiskMigrating: true, v1alpha2.DiskExporting: true, v1alpha2.DiskPVCLost: true,
	}
	madePhases = map[v1alpha2.DiskPhase]bool{
		v1alpha2.DiskProvisioning: true, v1alpha2.DiskWaitForFirstConsumer: true, v1alpha2.DiskReady: true, v1alpha2.DiskResizing: true,
		v1alpha2.DiskMigrating: true, v1alpha2.DiskExporting: true, v1alpha2.DiskPVCLost: true,
	}
)

// checkDiskChange keeps a disk's data: it may only grow, and once it is ready
// neither its source nor its storage class changes.
func checkDiskChange(old, changed *v1alpha2.VirtualDisk) field.ErrorList {
	var errs field.ErrorList
	claim, before := changed.Spec.PersistentVolumeClaim, old.Spec.PersistentVolumeClaim
	path := specPath.Child("persistentVolumeClaim")
	if least := leastSize(old); madePhases[old.Status.Phase] && claim.Size != nil && least != nil && claim.Size.Cmp(*least) < 0 {
		errs = append(errs, field.Forbidden(path.Child("size"), fmt.Sprintf("a disk never shrinks: use at least %s", least)))
	}
	if claim.Size == nil && changed.Spec.DataSource == nil {
		errs = append(errs, field.Required(path.Child("size"), "a blank disk needs a size"))
	}
	if !filledPhases[old.Status.Phase] {
		return errs
	}
	if !equality.Semantic.DeepEqual(old.Spec.DataSource, changed.Spec.DataSource) {
		errs = append(errs, field.Forbidden(specPath.Child("dataSource"), makeAnother))
	}
	if ptr.Deref(claim.StorageClassName, "") != ptr.Deref(before.StorageClassName, "") {
		errs = append(errs, field.Forbidden(path.Child("storageClassName"), "moving a disk to another storage class is not supported by this version: make another"))
	}
	return errs
}

// leastSize is what the disk has, by its spec or, when that says nothing, by its
// volume.
func leastSize(disk *v1alpha2.VirtualDisk) *resource.Quantity {
	if size := disk.Spec.PersistentVolumeClaim.Size; size != nil {
		return size
	}
	capacity, err := resource.ParseQuantity(disk.Status.Capacity)
	if err != nil {
		return nil
	}
	return &capacity
}

func judgeImage(_ context.Context, _ client.Reader, r revision[*v1alpha2.VirtualImage]) (verdict, error) {
	if !r.updates {
		return verdict{errors: checkName(r.new, maxImageName, false)}, nil
	}
	changed := !equality.Semantic.DeepEqual(r.old.Spec, r.new.Spec)
	return verdict{errors: checkImageChange(r.old.Status.Phase, changed)}, nil
}

func judgeClusterImage(_ context.Context, _ client.Reader, r revision[*v1alpha2.ClusterVirtualImage]) (verdict, error) {
	if !r.updates {
		return verdict{errors: checkName(r.new, maxClusterImageName, true)}, nil
	}
	changed := !equality.Semantic.DeepEqual(r.old.Spec, r.new.Spec)
	return verdict{errors: checkImageChange(r.old.Status.Phase, changed)}, nil
}

func checkImageChange(phase v1alpha2.ImagePhase, changed bool) field.ErrorList {
	if phase != v1alpha2.ImageReady || !changed {
		return nil
	}
	return field.ErrorList{field.Forbidden(specPath, makeAnother)}
}
