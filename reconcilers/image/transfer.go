package image

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// contents remembers what DVCR holds of images whose volumes are being filled. It
// may forget: DVCR is then asked once more.
type contents struct {
	mu    sync.Mutex
	found map[types.UID]*importer.Result
}

func newContents() *contents { return &contents{found: map[types.UID]*importer.Result{}} }

func (c *contents) of(uid types.UID) *importer.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.found[uid]
}

func (c *contents) keep(uid types.UID, r *importer.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found[uid] = r
}

func (c *contents) forget(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.found, uid)
}

// findContent sets transfer for an image that is in DVCR and not on its volume
// yet: whatever becomes of the volume, the source is needed no more.
func (e *engine) findContent(ctx context.Context, s *scope) flow.Outcome {
	brought := s.old.Size.UnpackedBytes != ""
	if !s.onVolume() || s.imported() || !brought {
		return flow.Done()
	}
	uid := s.object.GetUID()
	found := e.contents.of(uid)
	if found == nil {
		var err error
		if found, err = e.shelf.Find(ctx, s.artifact); err != nil {
			return flow.Fail("ContentUnknown", err)
		}
	}
	if found == nil {
		e.desk.Doubt(string(uid))
		return flow.Done()
	}
	e.contents.keep(uid, found)
	s.transfer = &intake.Transfer{State: importer.State{Phase: importer.Succeeded, Result: found}}
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
