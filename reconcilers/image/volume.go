package image

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vicondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/storageclass"
)

// onVolume tells whether the image is kept on a volume. Kubernetes is the old
// name of that storage.
func (s *scope) onVolume() bool {
	return s.spec.Storage == v1alpha2.StoragePersistentVolumeClaim || s.spec.Storage == v1alpha2.StorageKubernetes
}

// stage is how far the volume of an image is.
type stage int

const (
	volumeAwaited   stage = iota // the image is not in DVCR yet
	volumeDenied                 // by a quota
	volumeNotPulled              // CDI's importer cannot be pulled
	volumeFails
	volumeFills
	volumeFilled
	volumeLost
)

// volume is what is known of the volume of an image.
type volume struct {
	stage   stage
	message string
	// points is how much of the volume is filled, from 0 to 100.
	points float64
}

// retryAfterQuota is how soon a volume that a quota denied, or whose class is not
// there, is tried again.
const retryAfterQuota = 30 * time.Second

// chooseClass sets class, for an image that is kept on a volume.
func (e *engine) chooseClass(ctx context.Context, s *scope) flow.Outcome {
	if !s.onVolume() {
		return flow.Done()
	}
	if s.imported() {
		s.class, s.classFound = s.old.StorageClassName, readiness{known: true, ready: true, reason: vicondition.StorageClassReady}
		return flow.Done()
	}
	var classes storagev1.StorageClassList
	if err := e.client.List(ctx, &classes); err != nil {
		return flow.Fail("StorageClassesUnknown", fmt.Errorf("list storage classes: %w", err))
	}
	s.class, s.classFound = pickClass(e.classes, storageclass.Request{Asked: s.spec.PersistentVolumeClaim.StorageClassName, Classes: classes.Items})
	if !s.classFound.ready {
		announceClass(ctx, s)
		return flow.Wait(s.classFound.reason, retryAfterQuota, "%s", s.classFound.message)
	}
	return flow.Done()
}

// pickClass says with DVP's words what the policy chooses.
func pickClass(policy storageclass.Policy, r storageclass.Request) (string, readiness) {
	class, problem := policy.Choose(r)
	switch {
	case problem == nil:
		return class.Name, readiness{known: true, ready: true, reason: vicondition.StorageClassReady}
	case problem.NotFound:
		return "", notReady(vicondition.StorageClassNotFound, "%s", problem.Message)
	default:
		return "", notReady(vicondition.StorageClassNotReady, "%s", problem.Message)
	}
}

// fillVolume sets volume: it makes the DataVolume of an image that is in DVCR,
// and waits until its claim holds the image.
func (e *engine) fillVolume(ctx context.Context, s *scope) flow.Outcome {
	if !s.onVolume() {
		return flow.Done()
	}
	made, claim, err := e.findVolume(ctx, s)
	if err != nil {
		return flow.Fail("VolumeUnknown", err)
	}
	s.volume = assess(made, claim, s.imported())
	switch {
	case s.imported():
		announceVolume(ctx, s)
		return flow.Done()
	case made == nil:
		return e.makeVolume(ctx, s)
	case s.volume.stage == volumeFilled:
		flow.Emit(ctx, "DataSourceImportCompleted", "the image is on its volume")
		return flow.Done()
	case s.volume.stage == volumeDenied:
		announceProblem(ctx, s)
		return flow.Wait(vicondition.QuotaExceeded, retryAfterQuota, "%s", s.volume.message)
	case s.volume.stage == volumeNotPulled:
		announceProblem(ctx, s)
		return flow.Wait(vicondition.ImagePullFailed, 0, "%s", s.volume.message)
	case s.volume.stage == volumeFails:
		e.contents.forget(s.object.GetUID()) // it may be what is wrong
		announceProblem(ctx, s)
		return flow.Wait(vicondition.ProvisioningFailed, 0, "%s", s.volume.message)
	}
	return flow.Wait(vicondition.Provisioning, 0, "DataVolume %s is not complete", made.Name)
}

// findVolume reads the DataVolume and the claim of the image; nil stands for one
// that is not there.
func (e *engine) findVolume(ctx context.Context, s *scope) (*cdiv1.DataVolume, *corev1.PersistentVolumeClaim, error) {
	key := types.NamespacedName{Namespace: s.object.GetNamespace(), Name: volumeName(s.object)}
	made, claim := &cdiv1.DataVolume{}, &corev1.PersistentVolumeClaim{}
	err := e.client.Get(ctx, key, made)
	if apierrors.IsNotFound(err) {
		made, err = nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("get DataVolume %s: %w", key, err)
	}
	err = e.client.Get(ctx, key, claim)
	if apierrors.IsNotFound(err) {
		claim, err = nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("get claim %s: %w", key, err)
	}
	return made, claim, nil
}

// makeVolume creates the DataVolume and what it needs to pull from DVCR.
func (e *engine) makeVolume(ctx context.Context, s *scope) flow.Outcome {
	for _, obj := range buildVolume(s, e.dvcrLogin(s.object.GetNamespace()), e.authority) {
		err := e.client.Create(ctx, obj)
		switch {
		case err == nil || apierrors.IsAlreadyExists(err):
		case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
			s.volume = volume{stage: volumeDenied, message: err.Error()}
			announceProblem(ctx, s)
			return flow.Wait(vicondition.QuotaExceeded, retryAfterQuota, "%s", err)
		default:
			return flow.Fail("VolumeNotCreated", fmt.Errorf("create %T %s: %w", obj, obj.GetName(), err))
		}
	}
	s.volume = volume{stage: volumeFills}
	flow.Emit(ctx, "DataSourceImportInProgress", "the volume of the image is being made")
	return flow.Wait(vicondition.Provisioning, 0, "volume %s is being made", volumeName(s.object))
}

// dropVolume removes all that was made for the volume of an image.
func (e *engine) dropVolume(ctx context.Context, s *scope) error {
	if !s.onVolume() {
		return nil
	}
	in := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: s.object.GetNamespace(), Name: name}
	}
	for _, obj := range []client.Object{
		&cdiv1.DataVolume{ObjectMeta: in(volumeName(s.object))},
		&corev1.PersistentVolumeClaim{ObjectMeta: in(volumeName(s.object))},
		&corev1.Secret{ObjectMeta: in(loginName(s.object))},
		&corev1.ConfigMap{ObjectMeta: in(authorityName(s.object))},
	} {
		if err := e.client.Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete %T %s: %w", obj, obj.GetName(), err)
		}
	}
	return nil
}

// CDI's words for a claim that a quota denied, and for an importer whose image
// cannot be pulled.
const (
	quotaReason = "ErrExceededQuota"
	pullReason  = "ImagePullFailed"
)

// assess reads a DataVolume and its claim; before tells that the claim held the
// image once.
func assess(made *cdiv1.DataVolume, claim *corev1.PersistentVolumeClaim, before bool) volume {
	bound := claim != nil && claim.Status.Phase == corev1.ClaimBound
	switch {
	case before && !bound && (claim == nil || claim.Status.Phase == corev1.ClaimLost):
		return volume{stage: volumeLost, message: "the volume of the image is gone; restore it, or delete and create the image"}
	case before:
		return volume{stage: volumeFilled, points: 100}
	case made == nil:
		return volume{stage: volumeAwaited}
	case made.Status.Phase == cdiv1.Succeeded && bound:
		return volume{stage: volumeFilled, points: 100}
	}
	running := cdiv1.DataVolumeCondition{}
	for _, c := range made.Status.Conditions {
		if c.Reason == quotaReason && c.Status != corev1.ConditionTrue {
			return volume{stage: volumeDenied, message: c.Message}
		}
		if c.Type == cdiv1.DataVolumeBound && c.Status == corev1.ConditionFalse && strings.HasPrefix(c.Reason, "Err") {
			return volume{stage: volumeFails, message: fmt.Sprintf("DataVolume %s gets no claim: %s", made.Name, c.Message)}
		}
		if c.Type == cdiv1.DataVolumeRunning {
			running = c
		}
	}
	if running.Reason == pullReason && running.Status != corev1.ConditionTrue {
		return volume{stage: volumeNotPulled, message: fmt.Sprintf("DataVolume %s is not filled, as an image cannot be pulled: %s", made.Name, running.Message)}
	}
	if made.Status.Phase == cdiv1.Failed || made.Status.RestartCount > 0 && running.Status == corev1.ConditionFalse {
		return volume{stage: volumeFails, message: fmt.Sprintf("filling the volume failed: %s", cmp.Or(running.Message, string(made.Status.Phase)))}
	}
	return volume{stage: volumeFills, points: pointsOf(made.Status.Progress)}
}

// pointsOf reads CDI's progress, "N/A" or "12.5%".
func pointsOf(p cdiv1.DataVolumeProgress) float64 {
	points, err := strconv.ParseFloat(strings.TrimSuffix(string(p), "%"), 64)
	if err != nil || points < 0 || points > 100 {
		return 0
	}
	return points
}

// announceClass emits an event when the class is missing and the status does not
// tell yet.
func announceClass(ctx context.Context, s *scope) {
	before := meta.FindStatusCondition(s.old.Conditions, vicondition.StorageClassReadyType)
	if s.classFound.reason != vicondition.StorageClassNotFound {
		return
	}
	if before == nil || before.Message != s.classFound.message {
		flow.Warn(ctx, "VirtualImageStorageClassNotFound", "%s", s.classFound.message)
	}
}

// announceProblem emits an event when the volume cannot be made or filled and the
// status does not tell yet.
func announceProblem(ctx context.Context, s *scope) {
	before := meta.FindStatusCondition(s.old.Conditions, vicondition.ReadyType)
	switch {
	case before != nil && before.Message == s.volume.message:
	case s.volume.stage == volumeDenied:
		flow.Warn(ctx, "DataSourceQuotaExceed", "%s", s.volume.message)
	case s.volume.stage == volumeNotPulled:
		flow.Warn(ctx, vicondition.ImagePullFailed, "%s", s.volume.message)
	default:
		flow.Warn(ctx, "DataSourceImportFailed", "%s", s.volume.message)
	}
}

func announceVolume(ctx context.Context, s *scope) {
	lost := s.old.Phase == v1alpha2.ImagePVCLost
	switch {
	case s.volume.stage == volumeLost && !lost:
		flow.Warn(ctx, vicondition.PVCLost, "%s", s.volume.message)
	case s.volume.stage == volumeFilled && lost:
		flow.Emit(ctx, s.traits.recovered, "the volume of the image is back")
	}
}

// imageOfVolume wakes the image that a DataVolume or a claim belongs to; their
// names end in its own.
func imageOfVolume(obj client.Object) []string {
	for _, ref := range obj.GetOwnerReferences() {
		if ref.Kind == v1alpha2.VirtualImageKind || ref.Kind == v1alpha2.ClusterVirtualImageKind {
			return []string{refKey(ref.Kind, obj.GetNamespace(), ref.Name)}
		}
	}
	if name := obj.GetLabels()[volumeLabel]; name != "" {
		return []string{refKey(v1alpha2.VirtualImageKind, obj.GetNamespace(), name)}
	}
	return nil
}
