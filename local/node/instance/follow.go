package instance

import (
	"context"
	"reflect"
	"time"

	"slipway.dev/slipway/local/node/guest"
	"slipway.dev/slipway/local/node/qemu"
	"slipway.dev/slipway/local/node/qmp"
)

// agentEvery is how often a guest agent is asked.
const agentEvery = 10 * time.Second

// follow watches one process until it has ended or the runtime is closed. A lost monitor is dialed again as long as the
// process lives.
func (m *machine) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if monitor := m.monitorOrDial(ctx); monitor != nil {
			m.listen(ctx, monitor)
			_ = monitor.Close()
			m.setMonitor(nil)
		}
		if !m.observe().Record.Process.Alive() {
			m.end()
			return
		}
	}
}

func (m *machine) monitorOrDial(ctx context.Context) *qmp.Client {
	m.mu.Lock()
	monitor := m.monitor
	m.mu.Unlock()
	if monitor != nil {
		return monitor
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	monitor, err := m.connect(ctx)
	if err != nil {
		m.runtime.log.Debug("monitor does not answer", "instance", m.key().String(), "error", err)
		return nil
	}
	m.setMonitor(monitor)
	m.runtime.notify(m.key())
	return monitor
}

// listen handles events until the connection ends, and waits then for the process, which ends right after its monitor.
func (m *machine) listen(ctx context.Context, monitor *qmp.Client) {
	ticker := m.runtime.clock.NewTicker(agentEvery)
	defer ticker.Stop()
	m.askAgent(ctx, monitor)
	m.trimLogs()
	for {
		select {
		case <-ctx.Done():
			return
		case <-monitor.Done():
			wait, cancel := context.WithTimeout(ctx, time.Second)
			_ = m.observe().Record.Process.Wait(wait)
			cancel()
			return
		case <-ticker.C():
			m.askAgent(ctx, monitor)
			m.trimLogs()
		case e := <-monitor.Events():
			if e.Name == "VSERPORT_CHANGE" {
				m.askAgent(ctx, monitor)
			}
			m.runtime.notify(m.key())
		}
	}
}

// askAgent asks the guest agent, if the guest has opened its channel, and tells about any difference. While file systems
// are frozen it answers nothing else. One that listens and is too busy to answer is still there: what it said last stands.
func (m *machine) askAgent(ctx context.Context, monitor *qmp.Client) {
	if m.stayFrozen(ctx) {
		return
	}
	info := m.observe().Guest
	if !agentListens(ctx, monitor) {
		info = nil
	} else {
		m.agentTurn.Lock()
		if answer, err := guest.Ask(ctx, m.files.listen().Agent); err == nil {
			info = &answer
		}
		m.agentTurn.Unlock()
	}
	m.mu.Lock()
	changed := !reflect.DeepEqual(m.agent, info)
	m.agent = info
	m.mu.Unlock()
	if changed {
		m.runtime.notify(m.key())
	}
}

func agentListens(ctx context.Context, monitor *qmp.Client) bool {
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var channels []struct {
		Label string `json:"label"`
		Open  bool   `json:"frontend-open"`
	}
	if err := monitor.Do(ctx, "query-chardev", nil, &channels); err != nil {
		return false
	}
	for _, c := range channels {
		if c.Label == qemu.AgentChannel {
			return c.Open
		}
	}
	return false
}
