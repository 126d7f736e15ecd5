package image

import (
	"context"

	"slipway.dev/slipway/reconcilers/internal/flow"
)

// importContent sets transfer: it sees to it that the import runs until the
// content is in DVCR.
func (e *engine) importContent(ctx context.Context, s *scope) flow.Outcome {
	if s.imported() {
		return flow.Done()
	}
	t, outcome := e.desk.Bring(ctx, s.request(), s.old.Conditions)
	s.transfer = &t
	if outcome.IsDone() && !s.onVolume() {
		flow.Emit(ctx, "DataSourceImportCompleted", "the content of the data source is in DVCR")
	}
	return outcome
}
