package snapshot

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2/vdscondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

const (
	// retryAfterRefusal is how soon a guest that could not be frozen, or a
	// snapshot that the storage could not take, is tried again.
	retryAfterRefusal = 30 * time.Second
	// retryAfterConflict is how soon an object is read anew.
	retryAfterConflict = time.Second
)

// freeze has the file systems of a running guest frozen before the snapshot is
// taken. Where that cannot be, it waits if consistency is required.
func (e *engine) freeze(ctx context.Context, s *scope) flow.Outcome {
	if s.volume != nil || s.guest == nil {
		return flow.Done()
	}
	if refusal := cannotFreeze(s.guest); refusal != "" {
		return e.withoutFreeze(s, refusal, 0)
	}
	held, err := e.heldByAnother(ctx, s)
	switch {
	case err != nil:
		return flow.Fail("GuestUnknown", err)
	case held:
		return flow.Wait(vdscondition.FileSystemFreezing, retryAfterRefusal, "machine %s is frozen for snapshot %s; this one is taken after it", s.guest.Name, s.lease.Snapshot)
	case s.leased() && !s.now.Before(s.lease.until()):
		if outcome := e.thaw(ctx, s); !outcome.IsDone() {
			return outcome
		}
	}
	return e.freezeGuest(ctx, s)
}

func (e *engine) freezeGuest(ctx context.Context, s *scope) flow.Outcome {
	if !s.leased() {
		if err := e.acquire(ctx, s); apierrors.IsConflict(err) {
			return flow.Wait(vdscondition.FileSystemFreezing, retryAfterConflict, "machine %s has changed", s.guest.Name)
		} else if err != nil {
			return flow.Fail("NotFrozen", err)
		}
	}
	err := e.freezer.Freeze(ctx, client.ObjectKeyFromObject(s.guest), freezeTimeout)
	if err == nil {
		return flow.Done()
	}
	if outcome := e.thaw(ctx, s); !outcome.IsDone() {
		return outcome
	}
	return e.withoutFreeze(s, fmt.Sprintf("the guest of machine %s does not freeze its file systems: %v", s.guest.Name, err), retryAfterRefusal)
}

// withoutFreeze goes on without a frozen guest, or waits where it must not.
func (e *engine) withoutFreeze(s *scope, refusal string, after time.Duration) flow.Outcome {
	if s.required() {
		return flow.Wait(vdscondition.PotentiallyInconsistent, after,
			"%s; the snapshot waits: stop the machine, or set spec.requiredConsistency to false in a new snapshot", refusal)
	}
	return flow.Done()
}

// cannotFreeze says why a guest cannot be asked to freeze, or nothing.
func cannotFreeze(vmi *virtv1.VirtualMachineInstance) string {
	connected, paused := false, false
	for _, c := range vmi.Status.Conditions {
		connected = connected || c.Type == virtv1.VirtualMachineInstanceAgentConnected && c.Status == "True"
		paused = paused || c.Type == virtv1.VirtualMachineInstancePaused && c.Status == "True"
	}
	switch {
	case vmi.Status.Phase != virtv1.Running:
		return fmt.Sprintf("machine %s uses the disk and is not running yet", vmi.Name)
	case paused:
		return fmt.Sprintf("machine %s uses the disk and is paused", vmi.Name)
	case !connected:
		return fmt.Sprintf("machine %s uses the disk, and its guest agent does not answer", vmi.Name)
	}
	return ""
}

// thaw lets a guest go on that is frozen for this snapshot.
func (e *engine) thaw(ctx context.Context, s *scope) flow.Outcome {
	if s.guest == nil || !s.leased() {
		return flow.Done()
	}
	if err := e.freezer.Thaw(ctx, client.ObjectKeyFromObject(s.guest)); err != nil {
		return flow.Fail(vdscondition.FileSystemUnfreezing, err)
	}
	err := e.annotate(ctx, s.guest, "")
	if apierrors.IsConflict(err) {
		return flow.Wait(vdscondition.FileSystemUnfreezing, retryAfterConflict, "machine %s has changed", s.guest.Name)
	}
	if err != nil {
		return flow.Fail(vdscondition.FileSystemUnfreezing, err)
	}
	s.lease = nil
	return flow.Done()
}
