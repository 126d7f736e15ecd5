package instance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/local/node/guest"
	"slipway.dev/slipway/local/node/qemu"
	"slipway.dev/slipway/local/node/qmp"
)

// Observed is a snapshot of what is known of an instance's process.
type Observed struct {
	Known   bool // there is a record
	Running bool
	Exit    qemu.Exit // how it ended, when it does not run
	Message string    // QEMU's last words, when it ended badly
	Record  Record
	Guest   *guest.Info // what the agent said last; nil when there is none
}

// machine is one process, be it started or adopted.
type machine struct {
	runtime *Runtime
	files   files

	mu      sync.Mutex
	record  Record
	running bool
	exit    qemu.Exit
	message string
	agent   *guest.Info
	monitor *qmp.Client // nil while not connected
	asked   time.Time   // to power down, the last time

	agentTurn sync.Mutex // the agent's channel serves one at a time
}

func (m *machine) key() types.NamespacedName { return m.observe().Record.Key() }
func (m *machine) uid() types.UID            { return m.observe().Record.UID }

func (m *machine) observe() Observed {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Observed{
		Known: true, Running: m.running, Exit: m.exit, Message: m.message, Record: m.record, Guest: m.agent,
	}
}

// change edits the record and keeps it.
func (m *machine) change(edit func(*Record)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.record
	edit(&next)
	if err := m.files.save(next); err != nil {
		return err
	}
	m.record = next
	return nil
}

// startTimeout bounds the time from the start of the process to the first answer of its monitor, which takes a fraction
// of a second on an idle machine.
const startTimeout = 2 * time.Minute

func (m *machine) start(ctx context.Context, spec qemu.Spec) error {
	if err := m.clearSockets(); err != nil {
		return err
	}
	if err := m.files.save(m.record); err != nil {
		return err
	}
	process, err := qemu.Start(qemu.Args(spec), m.files.logs())
	if err != nil {
		return err
	}
	if err := m.change(func(r *Record) { r.Process = process }); err != nil {
		return errors.Join(err, process.Kill())
	}
	connecting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	monitor, err := m.connect(connecting)
	if err != nil {
		return errors.Join(err, process.Kill(), process.Wait(context.WithoutCancel(ctx)), qemu.LastWords(m.files.logs().Messages))
	}
	m.setMonitor(monitor)
	if err := m.noteBoard(ctx); err != nil {
		m.runtime.log.Debug("QEMU does not tell its board", "instance", m.key().String(), "error", err)
	}
	m.begin()
	return nil
}

// noteBoard keeps which version of a board QEMU made of the type that it was asked for.
func (m *machine) noteBoard(ctx context.Context) error {
	var board string
	if err := m.ask(ctx, "qom-get", map[string]any{"path": "/machine", "property": "type"}, &board); err != nil {
		return err
	}
	return m.change(func(r *Record) { r.Board = strings.TrimSuffix(board, "-machine") })
}

// clearSockets removes what a killed QEMU has left: a socket that nobody listens on cannot be bound again.
func (m *machine) clearSockets() error {
	s := m.files.listen()
	for _, path := range []string{s.Monitor, s.Serial, s.Agent, s.VNC} {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("clear socket: %w", err)
		}
	}
	return nil
}

const connectEvery = 50 * time.Millisecond

// connect dials the monitor until it answers or the process has ended.
func (m *machine) connect(ctx context.Context) (*qmp.Client, error) {
	process := m.observe().Record.Process
	for {
		monitor, err := qmp.Dial(ctx, m.files.listen().Monitor)
		if err == nil {
			return monitor, nil
		}
		if !process.Alive() {
			return nil, qemu.ErrExited
		}
		select {
		case <-ctx.Done():
			return nil, err //nolint:wrapcheck // qmp's errors name the socket
		case <-m.runtime.clock.After(connectEvery):
		}
	}
}

func (m *machine) setMonitor(c *qmp.Client) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.monitor = c
}

// begin watches the process from now on.
func (m *machine) begin() {
	m.mu.Lock()
	m.running = true
	m.mu.Unlock()
	m.runtime.watch.Add(1)
	go func() {
		defer m.runtime.watch.Done()
		m.follow(m.runtime.ctx)
	}()
}

// end reads from QEMU's log how the guest ended.
func (m *machine) end() {
	exit := qemu.Crashed
	if log, err := os.Open(m.files.logs().Events); err == nil {
		exit = qemu.ReadExit(log)
		_ = log.Close()
	}
	message := ""
	if words := qemu.LastWords(m.files.logs().Messages); words != nil && exit != qemu.GuestShutdown && exit != qemu.GuestReset {
		message = words.Error()
	}
	m.mu.Lock()
	m.running, m.exit, m.message, m.agent, m.monitor = false, exit, message, nil, nil
	m.mu.Unlock()
	m.runtime.notify(m.key())
}

// do runs a monitor command within a time that no live QEMU needs.
func (m *machine) do(ctx context.Context, command string, arguments any) error {
	return m.ask(ctx, command, arguments, nil)
}

// ask is do for a command whose answer matters.
func (m *machine) ask(ctx context.Context, command string, arguments, result any) error {
	m.mu.Lock()
	monitor := m.monitor
	m.mu.Unlock()
	if monitor == nil {
		return fmt.Errorf("%s: %w", command, qmp.ErrClosed)
	}
	const patience = 30 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return monitor.Do(ctx, command, arguments, result)
}

func (m *machine) grow(ctx context.Context, disk string, size int64) error {
	return m.do(ctx, "block_resize", map[string]any{"node-name": qemu.Node(disk), "size": size})
}

// askAgainEvery is how often a guest is asked to power down: one that still boots does not hear the first time.
const askAgainEvery = 3 * time.Second

func (m *machine) stop(ctx context.Context, grace time.Duration) (time.Duration, error) {
	now := m.runtime.clock.Now()
	o := m.observe()
	if o.Record.Stopping == nil {
		if err := m.change(func(r *Record) { r.Stopping = &now }); err != nil {
			return 0, err
		}
		o = m.observe()
	}
	left := o.Record.Stopping.Add(grace).Sub(now)
	if left <= 0 {
		return askAgainEvery, o.Record.Process.Kill()
	}
	wait := m.untilAsk(now)
	if wait <= 0 {
		if err := m.do(ctx, "system_powerdown", nil); err != nil {
			m.runtime.log.Debug("guest was not asked to power down", "instance", o.Record.Key().String(), "error", err)
		}
		wait = askAgainEvery
	}
	return min(left, wait), nil
}

// untilAsk is how long the guest is left alone since it was asked last. When that is over, it counts as asked now.
func (m *machine) untilAsk(now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	wait := m.asked.Add(askAgainEvery).Sub(now)
	if wait <= 0 {
		m.asked = now
	}
	return wait
}
