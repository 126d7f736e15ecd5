package image

import (
	"context"
	"errors"

	"slipway.dev/slipway/reconcilers/internal/flow"
)

// restart drops what was imported for an earlier spec. An image that was ready
// keeps its content: its spec cannot change, and if it did nevertheless, those
// who use the image must not see other content under the same name.
func (e *engine) restart(ctx context.Context, s *scope) flow.Outcome {
	seen := s.old.ObservedGeneration
	if seen == 0 || seen == s.object.GetGeneration() {
		s.current = true
		return flow.Done()
	}
	if s.imported() {
		flow.Warn(ctx, s.traits.specChanged, "the image keeps the content of its earlier spec; delete and create it to import the new one")
		s.current = true
		return flow.Done()
	}
	e.desk.Forget(string(s.object.GetUID()))
	e.contents.forget(s.object.GetUID())
	if err := errors.Join(e.dropVolume(ctx, s), e.dropRestored(ctx, s)); err != nil {
		return flow.Fail("RestartFailed", err)
	}
	if err := e.shelf.Remove(ctx, s.artifact); err != nil {
		return flow.Fail("RestartFailed", err)
	}
	flow.Emit(ctx, s.traits.specChanged, "the spec has been changed, the import starts anew")
	s.current = true
	return flow.Done()
}
