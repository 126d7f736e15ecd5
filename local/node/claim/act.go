package claim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/qemu"
	"slipway.dev/slipway/local/node/volume"
)

func (r *Reconciler) hold(ctx context.Context, pvc *corev1.PersistentVolumeClaim) error {
	return r.patch(ctx, pvc, "hold", func() {
		pvc.Finalizers = append(pvc.Finalizers, Finalizer)
		setAnnotation(pvc, storageBy, Provisioner)
	})
}

func (r *Reconciler) postpone(ctx context.Context, pvc *corev1.PersistentVolumeClaim) error {
	return r.patch(ctx, pvc, "postpone", func() { setAnnotation(pvc, AnnotationPhase, PhaseWaiting) })
}

// patch changes a claim's metadata or spec. It fails on a conflict: finalizers are a list, which a patch replaces.
func (r *Reconciler) patch(ctx context.Context, pvc *corev1.PersistentVolumeClaim, verb string, change func()) error {
	before := pvc.DeepCopy()
	change()
	if maps.Equal(before.Annotations, pvc.Annotations) && slices.Equal(before.Finalizers, pvc.Finalizers) && before.Spec.VolumeName == pvc.Spec.VolumeName {
		return nil
	}
	err := r.Client.Patch(ctx, pvc, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if err != nil {
		return fmt.Errorf("%s claim %s/%s: %w", verb, pvc.Namespace, pvc.Name, err)
	}
	return nil
}

func setAnnotation(pvc *corev1.PersistentVolumeClaim, key, value string) {
	if value == "" {
		delete(pvc.Annotations, key)
		return
	}
	if pvc.Annotations == nil {
		pvc.Annotations = map[string]string{}
	}
	pvc.Annotations[key] = value
}

// provision starts the making of the volume, or looks how it goes, and tells that in CDI's annotations.
func (r *Reconciler) provision(ctx context.Context, pvc *corev1.PersistentVolumeClaim, bytes int64) (ctrl.Result, error) {
	fill, err := r.filling(ctx, pvc, bytes)
	if err != nil {
		errTell := r.tell(ctx, pvc, job.State{Err: err, Failures: 1})
		return ctrl.Result{RequeueAfter: job.Pause(1)}, errTell
	}
	state := r.jobs.Ensure(job.Name(pvc), fill)
	if state.Finished() { // it finished between the look at the store and now
		return ctrl.Result{RequeueAfter: time.Millisecond}, nil
	}
	var again time.Duration
	if state.Err != nil {
		again = max(state.RetryAt.Sub(r.Clock.Now()), time.Millisecond)
	}
	return ctrl.Result{RequeueAfter: again}, r.tell(ctx, pvc, state)
}

// filling is the work that makes the volume of a claim.
func (r *Reconciler) filling(ctx context.Context, pvc *corev1.PersistentVolumeClaim, bytes int64) (job.Work, error) {
	want := volume.Record{ID: string(pvc.UID), Owner: pvc.Namespace + "/" + pvc.Name, Size: bytes}
	if name := SnapshotOf(pvc); name != "" {
		snapshot, err := r.snapshot(ctx, types.NamespacedName{Namespace: pvc.Namespace, Name: name})
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context, progress func(done, total int64)) error {
			return r.Volumes.Restore(ctx, want, r.Snapshots, snapshot, progress)
		}, nil
	}
	ref, err := r.reference(ctx, pvc)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, progress func(done, total int64)) error {
		return r.Volumes.Create(ctx, want, ref, progress)
	}, nil
}

// ErrSnapshot says that a snapshot cannot be restored, or not yet.
var ErrSnapshot = errors.New("the snapshot cannot be restored")

// snapshot finds the disk behind a VolumeSnapshot.
func (r *Reconciler) snapshot(ctx context.Context, key types.NamespacedName) (string, error) {
	var vs snapshotv1.VolumeSnapshot
	err := r.Client.Get(ctx, key, &vs)
	if apierrors.IsNotFound(err) {
		return "", fmt.Errorf("%w: VolumeSnapshot %s is not there", ErrSnapshot, key)
	}
	if err != nil {
		return "", fmt.Errorf("get VolumeSnapshot %s: %w", key, err)
	}
	s := vs.Status
	if s == nil || !ptr.Deref(s.ReadyToUse, false) || s.BoundVolumeSnapshotContentName == nil {
		return "", fmt.Errorf("%w yet: VolumeSnapshot %s is not ready", ErrSnapshot, key)
	}
	var content snapshotv1.VolumeSnapshotContent
	if err := r.Client.Get(ctx, client.ObjectKey{Name: *s.BoundVolumeSnapshotContentName}, &content); err != nil {
		return "", fmt.Errorf("get the content of VolumeSnapshot %s: %w", key, err)
	}
	if content.Spec.Driver != Provisioner || content.Status == nil || content.Spec.VolumeSnapshotRef.UID != vs.UID {
		return "", fmt.Errorf("%w: VolumeSnapshot %s is not on this node's storage", ErrSnapshot, key)
	}
	return ptr.Deref(content.Status.SnapshotHandle, ""), nil
}

func (r *Reconciler) tell(ctx context.Context, pvc *corev1.PersistentVolumeClaim, s job.State) error {
	failed := s.Err != nil
	err := r.patch(ctx, pvc, "report progress of", func() {
		if pvc.Annotations[AnnotationPhase] == PhaseWaiting {
			setAnnotation(pvc, AnnotationSelectedNode, r.Node)
		}
		setAnnotation(pvc, AnnotationPhase, string(corev1.PodRunning))
		setAnnotation(pvc, AnnotationProgress, percent(s))
		setAnnotation(pvc, AnnotationRestarts, strconv.Itoa(s.Failures))
		setAnnotation(pvc, AnnotationReason, "")
		setAnnotation(pvc, AnnotationMessage, "")
		if failed {
			setAnnotation(pvc, AnnotationReason, reason(s.Err))
			setAnnotation(pvc, AnnotationMessage, s.Err.Error())
		}
	})
	if err == nil && failed {
		r.Recorder.Eventf(pvc, nil, corev1.EventTypeWarning, "ProvisioningFailed", "Provision", "%s", s.Err.Error())
	}
	return err
}

func percent(s job.State) string {
	const hundred = 100
	if s.Total <= 0 {
		return ""
	}
	return strconv.FormatFloat(hundred*float64(s.Done)/float64(s.Total), 'f', 2, 64) + "%"
}

func reason(err error) string {
	switch {
	case errors.Is(err, volume.ErrNoSpace):
		return ReasonNoSpace
	case errors.Is(err, volume.ErrTooSmall):
		return ReasonTooSmall
	}
	return ReasonError
}

// reference is the image that a claim is filled from, or nil for an empty one.
func (r *Reconciler) reference(ctx context.Context, pvc *corev1.PersistentVolumeClaim) (*volume.Reference, error) {
	if pvc.Annotations[AnnotationSource] != SourceRegistry {
		return nil, nil
	}
	ref, err := volume.ParseReference(pvc.Annotations[AnnotationEndpoint])
	if err != nil {
		return nil, err
	}
	if ref.Host == r.Default.Host {
		ref.Username, ref.Password = r.Default.Username, r.Default.Password
	}
	if name := pvc.Annotations[AnnotationSecret]; name != "" {
		var secret corev1.Secret
		if err := r.Reader.Get(ctx, types.NamespacedName{Namespace: pvc.Namespace, Name: name}, &secret); err != nil {
			return nil, fmt.Errorf("get the registry's secret %s/%s: %w", pvc.Namespace, name, err)
		}
		ref.Username, ref.Password = string(secret.Data["accessKeyId"]), string(secret.Data["secretKey"])
	}
	if name := pvc.Annotations[AnnotationCertConfigMap]; name != "" {
		var authorities corev1.ConfigMap
		if err := r.Reader.Get(ctx, types.NamespacedName{Namespace: pvc.Namespace, Name: name}, &authorities); err != nil {
			return nil, fmt.Errorf("get the registry's authorities %s/%s: %w", pvc.Namespace, name, err)
		}
		for _, key := range slices.Sorted(maps.Keys(authorities.Data)) {
			ref.CABundle = append(ref.CABundle, authorities.Data[key]+"\n"...)
		}
	}
	return &ref, nil
}

// bind makes the PersistentVolume and binds both to each other. Each step is found done when it is tried again.
func (r *Reconciler) bind(ctx context.Context, pvc *corev1.PersistentVolumeClaim) error {
	pv := &corev1.PersistentVolume{}
	err := r.Client.Get(ctx, client.ObjectKey{Name: volumeName(pvc)}, pv)
	if apierrors.IsNotFound(err) {
		pv = persistentVolume(pvc, r.Node)
		err = client.IgnoreAlreadyExists(r.Client.Create(ctx, pv))
	}
	if err != nil {
		return fmt.Errorf("make volume of claim %s/%s: %w", pvc.Namespace, pvc.Name, err)
	}
	if err := r.resizeVolume(ctx, pv, pvc); err != nil {
		return err
	}
	if err := r.setVolumePhase(ctx, pv, corev1.VolumeBound); err != nil {
		return err
	}
	err = r.patch(ctx, pvc, "bind", func() {
		pvc.Spec.VolumeName = pv.Name
		setAnnotation(pvc, bindCompleted, "yes")
		setAnnotation(pvc, boundByUs, "yes")
		if pvc.Annotations[AnnotationPhase] != "" {
			setAnnotation(pvc, AnnotationPhase, string(corev1.PodSucceeded))
			setAnnotation(pvc, AnnotationProgress, "100.00%")
			setAnnotation(pvc, AnnotationReason, "")
			setAnnotation(pvc, AnnotationMessage, "")
		}
	})
	if err != nil {
		return err
	}
	before := pvc.DeepCopy()
	pvc.Status.Phase, pvc.Status.AccessModes = corev1.ClaimBound, pvc.Spec.AccessModes
	have := corev1.ResourceList{corev1.ResourceStorage: *pvc.Spec.Resources.Requests.Storage()}
	if had := before.Status.Capacity.Storage(); !had.IsZero() && had.Cmp(*have.Storage()) < 0 {
		pvc.Status.AllocatedResources = have // as Kubernetes leaves it behind when a claim has grown
	}
	pvc.Status.Capacity = have
	if err := r.Client.Status().Patch(ctx, pvc, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("bind claim %s/%s: %w", pvc.Namespace, pvc.Name, err)
	}
	r.jobs.Forget(job.Name(pvc))
	return nil
}

func (r *Reconciler) resizeVolume(ctx context.Context, pv *corev1.PersistentVolume, pvc *corev1.PersistentVolumeClaim) error {
	want := *pvc.Spec.Resources.Requests.Storage()
	if have := pv.Spec.Capacity[corev1.ResourceStorage]; have.Cmp(want) >= 0 {
		return nil
	}
	before := pv.DeepCopy()
	pv.Spec.Capacity = corev1.ResourceList{corev1.ResourceStorage: want}
	if err := r.Client.Patch(ctx, pv, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("resize volume %s: %w", pv.Name, err)
	}
	return nil
}

func (r *Reconciler) setVolumePhase(ctx context.Context, pv *corev1.PersistentVolume, phase corev1.PersistentVolumePhase) error {
	if pv.Status.Phase == phase {
		return nil
	}
	before := pv.DeepCopy()
	pv.Status.Phase = phase
	if err := r.Client.Status().Patch(ctx, pv, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("report volume %s: %w", pv.Name, err)
	}
	return nil
}

func volumeName(pvc *corev1.PersistentVolumeClaim) string { return "pvc-" + string(pvc.UID) }

func persistentVolume(pvc *corev1.PersistentVolumeClaim, node string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: volumeName(pvc), Annotations: map[string]string{provisionedBy: Provisioner}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: *pvc.Spec.Resources.Requests.Storage()},
			AccessModes:                   pvc.Spec.AccessModes,
			VolumeMode:                    pvc.Spec.VolumeMode,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimDelete,
			StorageClassName:              *pvc.Spec.StorageClassName,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: pvc.Namespace, Name: pvc.Name, UID: pvc.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{
				CSI: &corev1.CSIPersistentVolumeSource{Driver: Provisioner, VolumeHandle: string(pvc.UID)},
			},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: topologyHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}},
			}}}},
		},
	}
}

// grow makes the disk larger, under a running guest or without one, and then binds anew with the new capacity.
func (r *Reconciler) grow(ctx context.Context, pvc *corev1.PersistentVolumeClaim, bytes int64) error {
	id := string(pvc.UID)
	unlock, err := r.Volumes.Reserve(id)
	if err != nil {
		return err
	}
	defer unlock()
	err = r.Volumes.Grow(ctx, id, bytes, func(ctx context.Context, file string, size int64) error {
		if used, err := r.Disks.Grow(ctx, id, size); used || err != nil {
			return err
		}
		return qemu.ResizeImage(ctx, file, size)
	})
	if err != nil {
		r.Recorder.Eventf(pvc, nil, corev1.EventTypeWarning, "VolumeResizeFailed", "Resize", "%s", err.Error())
		return err
	}
	return r.bind(ctx, pvc)
}

// release removes the volume, then its object, then lets the claim go: what fails half-way is done again.
func (r *Reconciler) release(ctx context.Context, pvc *corev1.PersistentVolumeClaim) error {
	r.jobs.Forget(job.Name(pvc))
	if err := r.Volumes.Delete(string(pvc.UID)); err != nil {
		return err
	}
	if err := r.Collect(); err != nil {
		return err
	}
	if err := r.deleteVolume(ctx, volumeName(pvc)); err != nil {
		return err
	}
	return r.patch(ctx, pvc, "release", func() {
		pvc.Finalizers = slices.DeleteFunc(pvc.Finalizers, func(f string) bool { return f == Finalizer || f == claimProtection })
	})
}

func (r *Reconciler) deleteVolume(ctx context.Context, name string) error {
	pv := &corev1.PersistentVolume{}
	err := r.Client.Get(ctx, client.ObjectKey{Name: name}, pv)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil {
		err = client.IgnoreNotFound(r.Client.Delete(ctx, pv))
	}
	if err != nil {
		return fmt.Errorf("delete volume %s: %w", name, err)
	}
	before := pv.DeepCopy()
	pv.Finalizers = slices.DeleteFunc(pv.Finalizers, func(f string) bool { return f == volumeProtection })
	if err := client.IgnoreNotFound(r.Client.Patch(ctx, pv, client.MergeFrom(before))); err != nil {
		return fmt.Errorf("release volume %s: %w", name, err)
	}
	return nil
}
