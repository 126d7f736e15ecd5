package image

import (
	"context"
	"errors"

	"slipway.dev/slipway/reconcilers/internal/flow"
)

// release gives up an image that is being deleted: once nobody needs it, the
// import ends and the artifact goes.
func (e *engine) release(ctx context.Context, s *scope) flow.Outcome {
	if s.users.any() {
		return flow.Wait(AttachedToVirtualMachine, 0, "the image is used by %s", s.users)
	}
	uid := s.object.GetUID()
	e.desk.Forget(string(uid))
	e.checks.forget(uid)
	e.contents.forget(uid)
	if err := errors.Join(e.dropVolume(ctx, s), e.dropRestored(ctx, s)); err != nil {
		return flow.Fail("CleanupFailed", err)
	}
	if err := e.shelf.Remove(ctx, s.artifact); err != nil {
		return flow.Fail("CleanupFailed", err)
	}
	return flow.Done()
}
