package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// frozenBy is the annotation of an instance that names the snapshot for which
// its file systems are frozen. It is written before they are, and taken off
// after they were thawed.
const frozenBy = "snapshot.slipway.dev/frozen-by"

// frozenUntil is the annotation of a VolumeSnapshot that says until when the
// guest's file systems are frozen. Content that is fixed by then is consistent.
const frozenUntil = "snapshot.slipway.dev/frozen-until"

// freezeTimeout is after how long a guest thaws by itself.
const freezeTimeout = 5 * time.Minute

// lease is the right of one snapshot to have a guest frozen.
type lease struct {
	Snapshot string    `json:"snapshot"`
	UID      types.UID `json:"uid"`
	At       time.Time `json:"at"`
}

func (l *lease) until() time.Time { return l.At.Add(freezeTimeout) }

// readLease reads the instance's annotation; nil when it names nobody.
func readLease(vmi *virtv1.VirtualMachineInstance) *lease {
	var l lease
	if text := vmi.Annotations[frozenBy]; text == "" || json.Unmarshal([]byte(text), &l) != nil || l.UID == "" {
		return nil
	}
	return &l
}

// leased tells whether the guest is frozen, or being frozen, for this snapshot.
func (s *scope) leased() bool { return s.lease != nil && s.lease.UID == s.snapshot.UID }

// acquire writes this snapshot's lease. The instance must not have changed since
// it was read: somebody else may have frozen it.
func (e *engine) acquire(ctx context.Context, s *scope) error {
	l := &lease{Snapshot: s.snapshot.Name, UID: s.snapshot.UID, At: s.now.UTC().Truncate(time.Second)}
	text, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("describe the freeze of %s: %w", s.guest.Name, err)
	}
	if err := e.annotate(ctx, s.guest, string(text)); err != nil {
		return err
	}
	s.lease = l
	return nil
}

// annotate sets the instance's annotation; empty takes it off.
func (e *engine) annotate(ctx context.Context, vmi *virtv1.VirtualMachineInstance, text string) error {
	before := vmi.DeepCopy()
	if vmi.Annotations == nil {
		vmi.Annotations = map[string]string{}
	}
	vmi.Annotations[frozenBy] = text
	if text == "" {
		delete(vmi.Annotations, frozenBy)
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := e.client.Patch(ctx, vmi, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("note on instance %s who freezes it: %w", vmi.Name, err)
	}
	return nil
}

// heldByAnother tells whether the snapshot that the lease names still needs it.
func (e *engine) heldByAnother(ctx context.Context, s *scope) (bool, error) {
	if s.lease == nil || s.leased() {
		return false, nil
	}
	var other v1alpha2.VirtualDiskSnapshot
	found, err := e.find(ctx, s.lease.Snapshot, s, &other)
	return found && other.UID == s.lease.UID, err
}
