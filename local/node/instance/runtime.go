package instance

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"slipway.dev/slipway/local/node/qemu"
)

// Runtime owns the processes.
type Runtime struct {
	root   string
	clock  clock.WithTicker
	log    *slog.Logger
	ports  *ports
	wake   chan types.NamespacedName
	ctx    context.Context
	cancel context.CancelFunc
	watch  sync.WaitGroup

	mu       sync.Mutex
	machines map[types.UID]*machine
	closing  bool
}

// ErrClosing says that the runtime is shutting down and starts nothing more.
var ErrClosing = errors.New("the node is shutting down")

// wakesKept is how many pieces of news may wait to be read. More are dropped: readers look at everything they are
// woken for, and reconcile now and then without being woken.
const wakesKept = 1024

// OpenRuntime takes over what an earlier process has left: guests that run are watched again, those that ended are
// remembered as such, directories without a record are removed.
func OpenRuntime(root string, c clock.WithTicker, log *slog.Logger) (*Runtime, error) {
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("open instances: %w", err)
	}
	kept, err := openPorts(filepath.Join(filepath.Dir(root), "ports.json"))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Runtime{
		root: root, clock: c, log: log, ports: kept, wake: make(chan types.NamespacedName, wakesKept),
		ctx: ctx, cancel: cancel, machines: map[types.UID]*machine{},
	}
	if err := r.adoptAll(); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Runtime) adoptAll() error {
	entries, err := os.ReadDir(r.root)
	if err != nil {
		return fmt.Errorf("open instances: %w", err)
	}
	for _, entry := range entries {
		f := filesOf(r.root, types.UID(entry.Name()))
		record, err := f.load()
		switch {
		case errors.Is(err, os.ErrNotExist):
			if err := f.remove(); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			r.adopt(record, f)
		}
	}
	return nil
}

// adopt takes over one instance. A record without a process was written by a keeper that died while it started one: the
// process is asked for at its monitor, and where there is none, the start is still to be made.
func (r *Runtime) adopt(record Record, f files) {
	if record.Process.PID == 0 {
		process, found := qemu.Listening(f.listen().Monitor)
		record.Process, record.Parked = process, !found
	}
	m := &machine{runtime: r, files: f, record: record}
	r.mu.Lock()
	r.machines[record.UID] = m
	r.mu.Unlock()
	if !record.Process.Alive() {
		m.end()
		return
	}
	r.log.Info("adopted a running guest", "instance", record.Key().String(), "pid", record.Process.PID)
	m.begin()
}

// Wakes names instances of which there is news.
func (r *Runtime) Wakes() <-chan types.NamespacedName { return r.wake }

func (r *Runtime) notify(key types.NamespacedName) {
	select {
	case r.wake <- key:
	default:
	}
}

func (r *Runtime) get(uid types.UID) *machine {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.machines[uid]
}

func (r *Runtime) all() []*machine {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*machine
	for _, m := range r.machines {
		out = append(out, m)
	}
	return out
}

// Observe says what is known of an instance's process.
func (r *Runtime) Observe(uid types.UID) Observed {
	m := r.get(uid)
	if m == nil {
		return Observed{}
	}
	return m.observe()
}

// Named are the instances that have, or had, this name.
func (r *Runtime) Named(key types.NamespacedName) []types.UID {
	var out []types.UID
	for _, m := range r.all() {
		if m.key() == key {
			out = append(out, m.uid())
		}
	}
	return out
}

// Keys are the names of all instances.
func (r *Runtime) Keys() []types.NamespacedName {
	var out []types.NamespacedName
	for _, m := range r.all() {
		out = append(out, m.key())
	}
	return out
}

// UserOf names the instance whose process uses a volume.
func (r *Runtime) UserOf(volume string) (types.UID, bool) {
	for _, m := range r.all() {
		if o := m.observe(); o.Running {
			if _, uses := o.Record.Volumes[volume]; uses {
				return o.Record.UID, true
			}
		}
	}
	return "", false
}

// UsedBases are the digests that instances' own overlays need.
func (r *Runtime) UsedBases() map[string]bool {
	used := map[string]bool{}
	for _, m := range r.all() {
		for _, digest := range m.observe().Record.Bases {
			used[digest] = true
		}
	}
	return used
}

// Start runs a guest. The record is on disk before the process is there, and names it as soon as it is.
func (r *Runtime) Start(ctx context.Context, record Record, spec qemu.Spec) error {
	r.mu.Lock()
	if r.closing {
		r.mu.Unlock()
		return ErrClosing
	}
	m := &machine{runtime: r, files: filesOf(r.root, record.UID), record: record}
	r.machines[record.UID] = m
	r.mu.Unlock()
	if err := m.start(ctx, spec); err != nil {
		r.mu.Lock()
		delete(r.machines, record.UID)
		r.mu.Unlock()
		return fmt.Errorf("start guest %s: %w", record.Key(), err)
	}
	return nil
}

// Stop asks a guest to power down, as often as it is called, and ends it when the grace has passed since the first call.
// It returns when to call again, or zero when the guest has ended.
func (r *Runtime) Stop(ctx context.Context, uid types.UID, grace time.Duration) (time.Duration, error) {
	m := r.get(uid)
	if m == nil || !m.observe().Running {
		return 0, nil
	}
	return m.stop(ctx, grace)
}

// Remove forgets an ended instance and removes its files.
func (r *Runtime) Remove(uid types.UID) error {
	if m := r.get(uid); m != nil && m.observe().Running {
		return fmt.Errorf("remove instance %s: its guest still runs", uid)
	}
	if err := filesOf(r.root, uid).remove(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.machines, uid)
	return nil
}

// ForgetPort frees the port of a machine that is gone for good.
func (r *Runtime) ForgetPort(machine string) error { return r.ports.forget(machine) }

// Grow makes the disk of a volume larger in the guest that uses it. It says false when no guest does.
func (r *Runtime) Grow(ctx context.Context, volume string, size int64) (bool, error) {
	uid, used := r.UserOf(volume)
	if !used {
		return false, nil
	}
	m := r.get(uid)
	return true, m.grow(ctx, m.observe().Record.Volumes[volume], size)
}

// Close stops watching. Guests go on.
func (r *Runtime) Close() {
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	r.cancel()
	r.watch.Wait()
}
