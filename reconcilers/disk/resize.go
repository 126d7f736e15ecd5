package disk

import (
	"context"
	"fmt"
	"math"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// resizingNotAvailable is the reason of Resizing while a disk cannot get the
// size that its spec asks for. It is Slipway's own.
const resizingNotAvailable = "ResizingNotAvailable"

// growth is how a filled volume stands to the size that the spec asks for.
type growth struct {
	// pending tells that the volume is growing.
	pending bool
	// request is what the claim must ask for to get there; zero when it does.
	request resource.Quantity
	// problem says why the size cannot be had.
	problem string
}

// resizeVolume sets growth and asks for more room where the spec does.
func (e *engine) resizeVolume(ctx context.Context, s *scope) flow.Outcome {
	if s.claim == nil || s.lost() {
		return flow.Done()
	}
	request, err := e.growthRequest(ctx, s)
	if err != nil {
		return flow.Fail("ResizingFailed", err)
	}
	s.growth = grow(request)
	if s.growth.request.IsZero() {
		announceGrowth(ctx, s)
		return flow.Done()
	}
	if s.snapshots.taking != "" {
		s.growth = growth{problem: "the disk grows when its snapshot " + s.snapshots.taking + " has been taken"}
		announceGrowth(ctx, s)
		return flow.Done()
	}
	grown := s.claim.DeepCopy()
	grown.Spec.Resources.Requests[corev1.ResourceStorage] = s.growth.request
	grown.Annotations[grantedSize] = s.disk.Spec.PersistentVolumeClaim.Size.String()
	if err := e.update(ctx, s, grown); err != nil {
		return notGrown(ctx, s, err)
	}
	announceGrowth(ctx, s)
	return flow.Done()
}

// notGrown tells a denial, which a user has to do something about, from an error
// that passes.
func notGrown(ctx context.Context, s *scope, err error) flow.Outcome {
	if !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
		return flow.Fail("ResizingFailed", err)
	}
	s.growth = growth{problem: err.Error()}
	if s.resizingMessage() != s.growth.problem {
		flow.Warn(ctx, "VirtualDiskResizingFailed", "%s", s.growth.problem)
	}
	return flow.Wait(resizingNotAvailable, retryAfterQuota, "%s", s.growth.problem)
}

// growthRequest is all that growth depends on.
type growthRequest struct {
	// asked is the size in the spec, nil when it names none.
	asked *resource.Quantity
	// granted is the disk size that the claim's request stands for.
	granted resource.Quantity
	// request and capacity are the claim's.
	request, capacity resource.Quantity
	// overhead is the part of a volume that the file system which the disk lies on takes.
	overhead float64
	// expandable tells whether the class lets volumes grow.
	expandable bool
	// guestPending tells that a machine that runs has yet to see the new size.
	guestPending bool
}

func (e *engine) growthRequest(ctx context.Context, s *scope) (growthRequest, error) {
	granted, err := resource.ParseQuantity(s.claim.Annotations[grantedSize])
	if err != nil {
		granted = s.claim.Spec.Resources.Requests[corev1.ResourceStorage]
	}
	asked, overhead := s.disk.Spec.PersistentVolumeClaim.Size, 0.0
	if asked != nil && asked.Cmp(granted) > 0 {
		if overhead, err = e.overhead(ctx, s.claim); err != nil {
			return growthRequest{}, err
		}
	}
	return growthRequest{
		asked:        asked,
		overhead:     overhead,
		granted:      granted,
		request:      s.claim.Spec.Resources.Requests[corev1.ResourceStorage],
		capacity:     s.claim.Status.Capacity[corev1.ResourceStorage],
		expandable:   s.class.object != nil && ptr.Deref(s.class.object.AllowVolumeExpansion, false),
		guestPending: s.machines.active && claimCondition(s.claim, corev1.PersistentVolumeClaimFileSystemResizePending),
	}, nil
}

// grow decides what a volume needs to get the size that was asked for.
func grow(r growthRequest) growth {
	switch {
	case r.asked == nil || r.asked.Cmp(r.granted) == 0:
		return growth{pending: r.capacity.Cmp(r.request) < 0 || r.guestPending}
	case r.asked.Cmp(r.granted) < 0:
		return growth{problem: fmt.Sprintf("a disk cannot shrink: it has %s, the spec asks for %s", r.granted.String(), r.asked)}
	case !r.expandable:
		return growth{problem: fmt.Sprintf("the disk has %s and the spec asks for %s, but its storage class does not let volumes grow", r.granted.String(), r.asked)}
	default:
		return growth{pending: true, request: larger(r.request, withRoom(*r.asked, r.overhead))}
	}
}

func larger(a, b resource.Quantity) resource.Quantity {
	if a.Cmp(b) > 0 {
		return a
	}
	return b
}

// withRoom is the volume whose files can be a disk of a size. KubeVirt lets the disk have what is left of the volume after the
// overhead, in whole MiB.
func withRoom(disk resource.Quantity, overhead float64) resource.Quantity {
	if overhead <= 0 || overhead >= 1 {
		return disk
	}
	const mebibyte = 1 << 20
	whole := math.Ceil(disk.AsApproximateFloat64() / mebibyte)
	return *resource.NewQuantity(int64(math.Ceil(whole/(1-overhead)))*mebibyte, resource.BinarySI)
}

// overhead is what CDI, and KubeVirt after it, reckon with for the file system of a claim's volume. Where there is no CDI, nobody
// does.
func (e *engine) overhead(ctx context.Context, claim *corev1.PersistentVolumeClaim) (float64, error) {
	if ptr.Deref(claim.Spec.VolumeMode, corev1.PersistentVolumeFilesystem) == corev1.PersistentVolumeBlock {
		return 0, nil
	}
	config := &cdiv1.CDIConfig{}
	err := e.quotas.Get(ctx, client.ObjectKey{Name: "config"}, config)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("ask CDI for the overhead of file systems: %w", err)
	}
	return overheadOf(config, ptr.Deref(claim.Spec.StorageClassName, ""))
}

func overheadOf(config *cdiv1.CDIConfig, class string) (float64, error) {
	reckoned := config.Status.FilesystemOverhead
	if reckoned == nil {
		return 0, nil
	}
	part, ok := reckoned.StorageClass[class]
	if !ok {
		part = reckoned.Global
	}
	if part == "" {
		return 0, nil
	}
	overhead, err := strconv.ParseFloat(string(part), 64)
	if err != nil {
		return 0, fmt.Errorf("read the overhead of file systems in CDIConfig %s: %w", config.Name, err)
	}
	return overhead, nil
}

func claimCondition(claim *corev1.PersistentVolumeClaim, conditionType corev1.PersistentVolumeClaimConditionType) bool {
	for _, c := range claim.Status.Conditions {
		if c.Type == conditionType {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// announceGrowth emits an event when growing begins, ends or cannot be.
func announceGrowth(ctx context.Context, s *scope) {
	before := meta.FindStatusCondition(s.old.Conditions, vdcondition.ResizingType)
	wasPending := before != nil && before.Reason == vdcondition.InProgress
	switch {
	case s.growth.problem != "" && s.resizingMessage() != s.growth.problem:
		flow.Warn(ctx, "VirtualDiskResizingNotAvailable", "%s", s.growth.problem)
	case s.growth.pending && !wasPending:
		flow.Emit(ctx, "VirtualDiskResizingStarted", "the disk is growing")
	case !s.growth.pending && wasPending:
		flow.Emit(ctx, "VirtualDiskResizingCompleted", "the disk has grown")
	}
}
