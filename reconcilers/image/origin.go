package image

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vicondition"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/lineage"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// resolveObject sets source, content and sourceUID from the object that the
// image is made from.
func (e *engine) resolveObject(ctx context.Context, s *scope) flow.Outcome {
	var found observed
	var err error
	snapshot := &v1alpha2.VirtualDiskSnapshot{}
	switch s.origin.Kind {
	case v1alpha2.ObjectRefVirtualImage:
		found, err = observe(ctx, e.client, s, &v1alpha2.VirtualImage{}, observeImage)
	case v1alpha2.ObjectRefClusterVirtualImage:
		found, err = observe(ctx, e.client, s, &v1alpha2.ClusterVirtualImage{}, observeClusterImage)
	case v1alpha2.ObjectRefVirtualDisk:
		found, err = observe(ctx, e.client, s, &v1alpha2.VirtualDisk{}, observeDisk)
	case v1alpha2.ObjectRefVirtualDiskSnapshot:
		found, err = observe(ctx, e.client, s, snapshot, observeSnapshot)
	}
	if err != nil {
		return flow.Fail("SourceUnknown", err)
	}
	s.content, s.sourceUID = found.content, found.uid
	s.source = found.readiness
	switch {
	case s.fromSnapshot() && found.ready:
		return e.restoreSnapshot(ctx, s, snapshot)
	case s.fromSnapshot():
		return e.readRestored(ctx, s)
	case !found.ready:
		return flow.Wait(s.source.reason, 0, "%s", s.source.message)
	}
	return flow.Done()
}

// observed is what an image needs to know of the object it is made from.
type observed struct {
	readiness
	uid     types.UID
	content importer.Source
}

// observe reads the origin and judges it; one that is not there is not ready.
func observe[O client.Object](ctx context.Context, c client.Reader, s *scope, into O, judge func(O, types.UID) observed) (observed, error) {
	err := c.Get(ctx, s.origin.Key, into)
	if client.IgnoreNotFound(err) != nil {
		return observed{}, fmt.Errorf("get %s: %w", s.origin, err)
	}
	found := judge(into, s.readBefore())
	if err != nil {
		found = observed{readiness: notReady(found.reason, "%s is not there; create it, or correct the data source", s.origin)}
	}
	return found, nil
}

// readBefore is the object that the image was being made from before this run,
// empty when it was not. That object is kept for the image until it is made.
func (s *scope) readBefore() types.UID {
	if !lineage.Reads(s.object) {
		return ""
	}
	return types.UID(ptr.Deref(s.old.SourceUID, ""))
}

// usable tells whether an image can be made from an object in this phase. One
// that is being deleted is for those only that are being made from it.
func usable[P ~string](o client.Object, phase P, before types.UID, meanwhile ...P) bool {
	if before != "" && o.GetUID() == before && slices.Contains(meanwhile, phase) {
		return true
	}
	return phase == "Ready" && (o.GetDeletionTimestamp().IsZero() || o.GetUID() == before)
}

func notReady(reason, format string, args ...any) readiness {
	return readiness{known: true, reason: reason, message: fmt.Sprintf(format, args...)}
}

func observeImage(o *v1alpha2.VirtualImage, before types.UID) observed {
	if !usable(o, o.Status.Phase, before, v1alpha2.ImageTerminating) {
		return observed{readiness: notReady(vicondition.ImageNotReady, "VirtualImage %s/%s is not ready, its phase is %s", o.Namespace, o.Name, phaseOf(o.Status.Phase))}
	}
	found := observed{readiness: sourceReady(), uid: o.UID, content: artifact(virtualImage().repository(o), o.UID)}
	if claim := o.Status.Target.PersistentVolumeClaimName; claim != "" {
		found.content = importer.Source{Volume: &importer.VolumeSource{Namespace: o.Namespace, Claim: claim, Format: o.Status.Format}}
	}
	return found
}

func observeClusterImage(o *v1alpha2.ClusterVirtualImage, before types.UID) observed {
	if !usable(o, o.Status.Phase, before, v1alpha2.ImageTerminating) {
		return observed{readiness: notReady(vicondition.ClusterImageNotReady, "ClusterVirtualImage %s is not ready, its phase is %s", o.Name, phaseOf(o.Status.Phase))}
	}
	return observed{readiness: sourceReady(), uid: o.UID, content: artifact(clusterVirtualImage().repository(o), o.UID)}
}

func artifact(repository string, uid types.UID) importer.Source {
	return importer.Source{Artifact: &importer.ArtifactSource{Name: repository + ":" + string(uid)}}
}

// observeDisk asks that no machine uses the disk: what it writes meanwhile would
// make an image of no moment at all.
func observeDisk(o *v1alpha2.VirtualDisk, before types.UID) observed {
	name := o.Namespace + "/" + o.Name
	use := meta.FindStatusCondition(o.Status.Conditions, vdcondition.InUseType)
	switch {
	case !usable(o, o.Status.Phase, before, v1alpha2.DiskTerminating, v1alpha2.DiskResizing):
		return observed{readiness: notReady(vicondition.VirtualDiskNotReady, "VirtualDisk %s is not ready, its phase is %s", name, phaseOf(o.Status.Phase))}
	case use != nil && use.Reason == vdcondition.AttachedToVirtualMachine && use.Status == metav1.ConditionTrue:
		return observed{readiness: notReady(vicondition.VirtualDiskAttachedToVirtualMachine, "VirtualDisk %s is in use: %s; stop the machine first", name, use.Message)}
	case use != nil && use.Status == metav1.ConditionTrue && use.Reason != vdcondition.UsedForImageCreation:
		return observed{readiness: notReady(vicondition.VirtualDiskNotReadyForUse, "VirtualDisk %s is in use: %s", name, use.Message)}
	}
	return observed{readiness: sourceReady(), uid: o.UID, content: importer.Source{Volume: &importer.VolumeSource{
		Namespace: o.Namespace, Claim: o.Status.Target.PersistentVolumeClaimName,
	}}}
}

func phaseOf[P ~string](phase P) string {
	if phase == "" {
		return "not known yet"
	}
	return string(phase)
}
