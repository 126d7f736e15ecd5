package disk

import (
	"context"
	"fmt"

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
	class, problem := pickClass(s.claimedClass(), e.classes, storageclass.Request{
		Asked: s.disk.Spec.PersistentVolumeClaim.StorageClassName, Preferred: s.source.snapshot.class(), Classes: classes.Items,
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

// pickClass takes the class that the disk's claim has, which is not questioned, or
// else what the policy chooses.
func pickClass(claimed string, policy storageclass.Policy, r storageclass.Request) (*storagev1.StorageClass, string) {
	if claimed != "" {
		if class := storageclass.Find(r.Classes, claimed); class != nil {
			return class, ""
		}
		return nil, fmt.Sprintf("storage class %s of the disk's volume is not there", claimed)
	}
	class, problem := policy.Choose(r)
	if problem != nil {
		return nil, problem.Message
	}
	return class, ""
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
