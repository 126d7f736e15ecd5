package disk

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	storagev1 "k8s.io/api/storage/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/storageclass"
)

// chooseClass sets class.
func (e *engine) chooseClass(ctx context.Context, s *scope) flow.Outcome {
	var classes storagev1.StorageClassList
	if err := e.client.List(ctx, &classes); err != nil {
		return flow.Fail("StorageClassesUnknown", fmt.Errorf("list storage classes: %w", err))
	}
	class, problem := pickClass(classRequest{
		claimed:  s.claimedClass(),
		asked:    s.disk.Spec.PersistentVolumeClaim.StorageClassName,
		fallback: cmp.Or(s.source.snapshot.class(), e.defaultClass),
		allowed:  e.allowedClasses,
		classes:  classes.Items,
	})
	if problem != "" {
		s.class.readiness = readiness{known: true, reason: vdcondition.StorageClassNotReady, message: problem}
		return flow.Done()
	}
	if mismatch := s.source.snapshot.mismatch(class); mismatch != "" {
		s.class = storageClass{readiness: readiness{known: true, reason: vdcondition.StorageClassNotReady, message: mismatch}, mismatch: true}
		return flow.Done()
	}
	s.class = storageClass{
		readiness:  readiness{known: true, ready: true, reason: vdcondition.StorageClassReady},
		name:       class.Name,
		object:     class,
		firstClaim: bindsLate(s.disk, class),
	}
	return flow.Done()
}

// claimedClass is the class of the disk's claim, empty while there is none.
func (s *scope) claimedClass() string {
	if s.claim == nil || s.claim.Spec.StorageClassName == nil {
		return ""
	}
	return *s.claim.Spec.StorageClassName
}

// classRequest is all that the choice of a storage class depends on.
type classRequest struct {
	// claimed is the class that the disk's claim has.
	claimed string
	// asked is the class in the disk's spec.
	asked *string
	// fallback is the class of the snapshot that the disk is made from, or else the
	// module's default class for disks.
	fallback string
	// allowed are the classes that disks may have; empty means all.
	allowed []string
	classes []storagev1.StorageClass
}

// pickClass chooses a class: the claim's, the spec's, the snapshot's, the
// module's default, the cluster's default. A class that a claim has already is not questioned.
func pickClass(r classRequest) (*storagev1.StorageClass, string) {
	if r.claimed != "" {
		if class := r.find(r.claimed); class != nil {
			return class, ""
		}
		return nil, fmt.Sprintf("storage class %s of the disk's volume is not there", r.claimed)
	}
	name := r.fallback
	if r.asked != nil && *r.asked != "" {
		name = *r.asked
	}
	if found := storageclass.Default(r.classes); name == "" && found != nil {
		name = found.Name
	}
	if name == "" {
		return nil, "no storage class is named in the disk, and the cluster has no default one; set spec.persistentVolumeClaim.storageClassName"
	}
	class := r.find(name)
	switch {
	case class == nil:
		return nil, fmt.Sprintf("storage class %s is not there; create it, or name another in spec.persistentVolumeClaim.storageClassName", name)
	case !class.DeletionTimestamp.IsZero():
		return nil, fmt.Sprintf("storage class %s is being deleted; name another in spec.persistentVolumeClaim.storageClassName", name)
	case len(r.allowed) > 0 && !slices.Contains(r.allowed, name):
		return nil, fmt.Sprintf("storage class %s is not allowed for disks; allowed are %v", name, r.allowed)
	}
	return class, ""
}

func (r classRequest) find(name string) *storagev1.StorageClass {
	i := slices.IndexFunc(r.classes, func(c storagev1.StorageClass) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &r.classes[i]
}

// bindsLate tells whether volumes wait for a machine that uses them.
func bindsLate(vd *v1alpha2.VirtualDisk, class *storagev1.StorageClass) bool {
	mode := annotated(annotations.VirtualDiskBindingMode, vd, class)
	if mode == "" && class.VolumeBindingMode != nil {
		mode = string(*class.VolumeBindingMode)
	}
	return mode == string(storagev1.VolumeBindingWaitForFirstConsumer)
}

// annotated reads an annotation of the disk, or else of its class.
func annotated(key string, vd *v1alpha2.VirtualDisk, class *storagev1.StorageClass) string {
	if value := vd.Annotations[key]; value != "" {
		return value
	}
	return class.Annotations[key]
}
