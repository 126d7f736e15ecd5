package instance

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/local/node/guest"
)

// ErrNotRunning says that there is no guest to do something with.
var ErrNotRunning = errors.New("no guest runs")

// running finds the guest of an instance's name.
func (r *Runtime) running(key types.NamespacedName) (*machine, error) {
	for _, m := range r.all() {
		if o := m.observe(); o.Running && o.Record.Key() == key {
			return m, nil
		}
	}
	return nil, fmt.Errorf("instance %s: %w", key, ErrNotRunning)
}

// Freeze has a guest's agent freeze its file systems. They thaw by Thaw or, if nobody calls it, after the timeout.
func (r *Runtime) Freeze(ctx context.Context, key types.NamespacedName, timeout time.Duration) error {
	m, err := r.running(key)
	if err != nil {
		return err
	}
	return m.freeze(ctx, timeout)
}

// Thaw undoes Freeze. A guest that is not frozen, or does not run, needs nothing.
func (r *Runtime) Thaw(ctx context.Context, key types.NamespacedName) error {
	m, err := r.running(key)
	if err != nil {
		return nil //nolint:nilerr // no guest, nothing frozen
	}
	return m.thaw(ctx)
}

func (m *machine) freeze(ctx context.Context, timeout time.Duration) error {
	if m.observe().Record.Frozen != nil {
		return nil
	}
	until := m.runtime.clock.Now().Add(timeout)
	if err := m.change(func(r *Record) { r.Frozen = &until }); err != nil {
		return err
	}
	m.agentTurn.Lock()
	_, err := guest.Freeze(ctx, m.files.listen().Agent)
	m.agentTurn.Unlock()
	if err != nil {
		return errors.Join(fmt.Errorf("freeze instance %s: %w", m.key(), err), m.thaw(context.WithoutCancel(ctx)))
	}
	m.runtime.notify(m.key())
	return nil
}

// thaw forgets that the guest is frozen only when the agent says that it is not.
func (m *machine) thaw(ctx context.Context) error {
	if m.observe().Record.Frozen == nil {
		return nil
	}
	m.agentTurn.Lock()
	_, err := guest.Thaw(ctx, m.files.listen().Agent)
	m.agentTurn.Unlock()
	if err != nil {
		return fmt.Errorf("thaw instance %s: %w", m.key(), err)
	}
	if err := m.change(func(r *Record) { r.Frozen = nil }); err != nil {
		return err
	}
	m.runtime.notify(m.key())
	return nil
}

// stayFrozen tells whether file systems are frozen still, and thaws them when their time is over.
func (m *machine) stayFrozen(ctx context.Context) bool {
	until := m.observe().Record.Frozen
	if until == nil {
		return false
	}
	if m.runtime.clock.Now().Before(*until) {
		return true
	}
	if err := m.thaw(ctx); err != nil {
		m.runtime.log.Warn("guest's file systems stay frozen: the agent does not thaw them", "instance", m.key().String(), "error", err)
		return true
	}
	return false
}
