package image

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"slipway.dev/slipway/reconcilers/internal/flow"
)

// checks remembers when each image was last looked for in DVCR. It may forget:
// an image is then looked for once more.
type checks struct {
	mu   sync.Mutex
	last map[types.UID]time.Time
}

func newChecks() *checks { return &checks{last: map[types.UID]time.Time{}} }

func (c *checks) due(uid types.UID, now time.Time, every time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	last, known := c.last[uid]
	return !known || now.Sub(last) >= every
}

func (c *checks) done(uid types.UID, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last[uid] = now
}

func (c *checks) forget(uid types.UID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.last, uid)
}

// checkPresence sets lost: whether an image that was ready is gone from DVCR.
// While DVCR does not answer nothing is known, and nothing changes.
func (e *engine) checkPresence(ctx context.Context, s *scope) flow.Outcome {
	uid := s.object.GetUID()
	if s.imported() {
		e.desk.Settle(string(uid))
		e.contents.forget(uid)
	}
	if s.onVolume() {
		return flow.Done() // the volume counts
	}
	if !s.imported() {
		e.checks.done(uid, s.now)
		return flow.Done()
	}
	s.lost = s.wasLost()
	if !e.checks.due(uid, s.now, e.interval(s)) {
		return flow.Done()
	}
	found, err := e.shelf.Has(ctx, s.artifact)
	e.checks.done(uid, s.now)
	if err != nil {
		log.FromContext(ctx).Info("DVCR does not answer, the image's presence is not known", "artifact", s.artifact, "error", err.Error())
		return flow.Done()
	}
	s.lost = !found
	announcePresence(ctx, s)
	return flow.Done()
}

func announcePresence(ctx context.Context, s *scope) {
	switch {
	case s.lost && !s.wasLost():
		flow.Warn(ctx, "ImageLost", "%s is gone from DVCR", s.artifact)
	case !s.lost && s.wasLost():
		flow.Emit(ctx, s.traits.recovered, "%s is back in DVCR", s.artifact)
	}
}

// interval is the time between two looks at an image; a lost one is looked for
// more often, so that it heals soon after DVCR is restored.
func (e *engine) interval(s *scope) time.Duration {
	if s.lost || s.wasLost() {
		return e.checkEvery / 10
	}
	return e.checkEvery
}
