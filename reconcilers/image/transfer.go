package image

import (
	"context"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// findContent sets transfer for an image that is in DVCR and not on its volume
// yet: whatever becomes of the volume, the source is needed no more.
func (e *engine) findContent(ctx context.Context, s *scope) flow.Outcome {
	brought := s.old.Size.UnpackedBytes != ""
	if !s.onVolume() || s.imported() || !brought {
		return flow.Done()
	}
	found, err := e.shelf.Find(ctx, s.artifact)
	if err != nil {
		return flow.Fail("ContentUnknown", err)
	}
	if found != nil {
		s.transfer = &intake.Transfer{State: importer.State{Phase: importer.Succeeded, Result: found}}
	}
	return flow.Done()
}

// importContent sets transfer: it sees to it that the import runs until the
// content is in DVCR.
func (e *engine) importContent(ctx context.Context, s *scope) flow.Outcome {
	if s.imported() || s.transfer != nil {
		return flow.Done()
	}
	t, outcome := e.desk.Bring(ctx, s.request(), s.old.Conditions)
	s.transfer = &t
	if outcome.IsDone() && !s.onVolume() {
		flow.Emit(ctx, "DataSourceImportCompleted", "the content of the data source is in DVCR")
	}
	return outcome
}
