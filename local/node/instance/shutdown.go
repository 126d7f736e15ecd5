package instance

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Shutdown stops all guests for the host's own sake: none is told ended, and the next runtime starts them again. Guests
// that outlast the grace, or the context, are ended.
func (r *Runtime) Shutdown(ctx context.Context, grace time.Duration) error {
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	var all sync.WaitGroup
	machines := r.all()
	failures := make([]error, len(machines))
	for i, m := range machines {
		if m.observe().Running {
			all.Go(func() { failures[i] = m.park(ctx, grace) })
		}
	}
	all.Wait()
	r.Close()
	return errors.Join(failures...)
}

func (m *machine) park(ctx context.Context, grace time.Duration) error {
	if err := m.change(func(r *Record) { r.Parked, r.Stopping = r.Stopping == nil, nil }); err != nil {
		return err
	}
	process := m.observe().Record.Process
	for m.observe().Running && process.Alive() {
		if ctx.Err() != nil {
			grace = 0
		}
		again, err := m.stop(context.WithoutCancel(ctx), grace)
		if err != nil {
			return fmt.Errorf("stop guest %s: %w", m.key(), err)
		}
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), again)
		_ = process.Wait(wait)
		cancel()
	}
	return nil
}
