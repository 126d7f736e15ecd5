package disk

import (
	"context"

	"slipway.dev/slipway/reconcilers/internal/flow"
)

// importContent sets transfer: content from outside first goes to DVCR.
func (e *engine) importContent(ctx context.Context, s *scope) flow.Outcome {
	if s.underway() || s.source.external == nil {
		return flow.Done()
	}
	t, outcome := e.desk.Bring(ctx, s.request(), s.old.Conditions)
	s.transfer = &t
	return outcome
}
