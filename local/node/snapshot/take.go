package snapshot

import (
	"context"
	"errors"
	"fmt"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/volume"
)

// state is how far the taking of a snapshot is.
type state struct {
	cut   time.Time // when the content was fixed; zero before
	size  int64
	ready bool
	// lost tells that the content was cut and is gone.
	lost  bool
	err   error
	again time.Duration
}

var (
	errLost = errors.New("the snapshot is lost: the guest that wrote it ended before all was written; delete it and take another")
	errUsed = errors.New("a guest was started on the disk")
)

// take goes on with the copy from wherever it stands.
func (r *Reconciler) take(ctx context.Context, vs *snapshotv1.VolumeSnapshot, content *snapshotv1.VolumeSnapshotContent) (state, error) {
	id := string(vs.UID)
	record, err := r.Snapshots.Get(id)
	if err == nil {
		r.jobs.Forget(job.Name(vs))
		return state{cut: record.Created, size: record.Size, ready: true}, nil
	}
	if !errors.Is(err, volume.ErrNotFound) {
		return state{}, err
	}
	pending, err := r.Snapshots.GetPending(id)
	switch {
	case err == nil:
		return r.follow(ctx, pending, told(content))
	case !errors.Is(err, volume.ErrNotFound):
		return state{}, err
	case told(content):
		return state{lost: true, err: lostBefore(content)}, nil
	}
	return r.begin(ctx, vs, ptr.Deref(content.Spec.Source.VolumeHandle, ""))
}

// told tells whether it was said already when the snapshot was cut.
func told(content *snapshotv1.VolumeSnapshotContent) bool {
	return content.Status != nil && content.Status.CreationTime != nil
}

// lostBefore is what was said of a loss when it was noticed.
func lostBefore(content *snapshotv1.VolumeSnapshotContent) error {
	if e := content.Status.Error; e != nil && e.Message != nil {
		return errors.New(*e.Message)
	}
	return errLost
}

// begin starts the copy: by the guest that has the disk open, or here.
func (r *Reconciler) begin(ctx context.Context, vs *snapshotv1.VolumeSnapshot, of string) (state, error) {
	id := string(vs.UID) // the work must not look at vs, which is written meanwhile
	if _, copying := r.jobs.State(job.Name(vs)); !copying {
		s, begun, err := r.beginLive(ctx, id, of)
		if begun || err != nil {
			return s, err
		}
	}
	now := r.jobs.Ensure(job.Name(vs), func(ctx context.Context, progress func(done, total int64)) error {
		return r.copyAtRest(ctx, id, of, progress)
	})
	switch {
	case errors.Is(now.Err, errUsed):
		r.jobs.Forget(job.Name(vs))
		return state{again: time.Millisecond}, nil
	case now.Err != nil:
		return state{err: now.Err, again: max(now.RetryAt.Sub(r.Clock.Now()), time.Millisecond)}, nil
	case now.Finished():
		return state{again: time.Millisecond}, nil
	}
	return state{}, nil
}

// beginLive has the guest that writes to a volume copy its disk. It says false when there is none.
func (r *Reconciler) beginLive(ctx context.Context, id, of string) (state, bool, error) {
	guest, used := r.Guests.WriterOf(of)
	if !used {
		return state{}, false, nil
	}
	release, err := r.Volumes.Reserve(of)
	if err != nil {
		return state{}, true, err
	}
	defer release()
	pending, err := r.Snapshots.Begin(ctx, id, r.Volumes, of, string(guest))
	if err != nil {
		return state{}, true, err
	}
	begun, err := r.Guests.CopyDisk(ctx, of, id, r.Snapshots.File(id))
	if err != nil || !begun {
		return state{}, begun, errors.Join(err, r.Snapshots.Delete(id))
	}
	return state{cut: pending.Created, size: pending.Size, again: followEvery}, true, nil
}

func (r *Reconciler) copyAtRest(ctx context.Context, id, of string, progress func(done, total int64)) error {
	release, err := r.Volumes.Reserve(of)
	if err != nil {
		return err
	}
	defer release()
	if _, used := r.Guests.WriterOf(of); used {
		return errUsed
	}
	return r.Snapshots.Take(ctx, id, r.Volumes, of, progress)
}

// follow looks how the guest's copy stands. A guest that is gone took an unfinished copy with it: that is begun anew, unless
// somebody was told of it.
func (r *Reconciler) follow(ctx context.Context, p volume.Pending, told bool) (state, error) {
	s := state{cut: p.Created, size: p.Size, again: followEvery}
	if p.Closing {
		return r.finish(ctx, p, told)
	}
	c, err := r.Guests.CopyState(ctx, types.UID(p.Guest), p.ID)
	switch {
	case err != nil:
		return s, err
	case c.Finished:
		if err := r.Snapshots.Close(p); err != nil {
			return s, err
		}
		return r.finish(ctx, p, told)
	case c.Failure != "":
		_, err := r.Guests.CloseCopy(ctx, types.UID(p.Guest), p.ID)
		return r.drop(p, told, errors.Join(fmt.Errorf("the guest's copy of its disk failed: %s", c.Failure), err))
	case !c.Known:
		return r.drop(p, told, nil)
	}
	return s, nil
}

// finish closes the file and completes the record.
func (r *Reconciler) finish(ctx context.Context, p volume.Pending, told bool) (state, error) {
	s := state{cut: p.Created, size: p.Size, again: followEvery}
	closed, err := r.Guests.CloseCopy(ctx, types.UID(p.Guest), p.ID)
	if err != nil {
		return s, err
	}
	if !closed {
		return r.drop(p, told, nil)
	}
	if err := r.Snapshots.Finish(p); err != nil {
		return s, err
	}
	s.ready = true
	return s, nil
}

// drop removes what was written of a snapshot that cannot be completed.
func (r *Reconciler) drop(p volume.Pending, told bool, cause error) (state, error) {
	if err := r.Snapshots.Delete(p.ID); err != nil {
		return state{}, errors.Join(cause, err)
	}
	if told {
		return state{lost: true, err: errors.Join(errLost, cause)}, nil
	}
	return state{err: cause, again: lookAgain}, nil
}
