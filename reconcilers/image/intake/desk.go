package intake

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"k8s.io/client-go/util/workqueue"

	"slipway.dev/slipway/dvcr/importer"
)

// Runner runs imports. It is importer.Runner.
type Runner interface {
	// Ensure starts the job unless it runs or has ended, and tells how it stands.
	Ensure(ctx context.Context, job importer.Job) importer.State
	// Retry lets a failed job start again.
	Retry(id string)
	// Forget cancels a job and drops what is known of it.
	Forget(id string)
	// Events delivers the IDs of jobs whose state changed.
	Events() <-chan string
}

// Request asks for one artifact on behalf of one object.
type Request struct {
	// Controller is woken when the import changes.
	Controller string
	// Object is what the controller is woken for.
	Object types.NamespacedName
	// Generation of the object, so that a changed spec is told from one whose upload has expired.
	Generation int64
	// Job is the import. Its ID is the object's UID.
	Job importer.Job
}

// Transfer is how a requested import stands.
type Transfer struct {
	importer.State
	// Failures is how often the import failed since it was last forgotten.
	Failures int
	// LastError is why it failed last, also while it is tried again.
	LastError error
	// RetryAt is when a failed import is tried again, RetryAfter how long that is
	// from now; zero unless it has failed and waits.
	RetryAt    time.Time
	RetryAfter time.Duration
}

// Desk takes requests and hands them to a Runner. A failed job is tried again
// after a delay that grows with each failure.
type Desk struct {
	runner Runner
	clock  clock.PassiveClock

	mu      sync.Mutex
	entries map[string]*entry
	feeds   map[string]chan event.TypedGenericEvent[types.NamespacedName]
}

type entry struct {
	request  Request
	failures int
	err      error
	retryAt  time.Time
	ended    bool // well
}

// NewDesk makes a desk in front of a runner. Add it to the manager: it passes
// the runner's events on while it is started.
func NewDesk(runner Runner, c clock.PassiveClock) *Desk {
	return &Desk{
		runner:  runner,
		clock:   c,
		entries: map[string]*entry{},
		feeds:   map[string]chan event.TypedGenericEvent[types.NamespacedName]{},
	}
}

// Ensure sees to it that the requested import runs, and tells how it stands. A
// request whose source differs from the one known under the same ID replaces it.
func (d *Desk) Ensure(ctx context.Context, r Request) Transfer {
	if d.replaced(r) {
		d.Forget(r.Job.ID)
	}
	e := d.entry(r)
	if d.due(e) {
		d.runner.Retry(r.Job.ID)
	}
	state := d.runner.Ensure(ctx, r.Job)
	return d.record(e, state)
}

// Asked tells whether exactly this job was requested before.
func (d *Desk) Asked(job importer.Job) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.entries[job.ID]
	return ok && reflect.DeepEqual(e.request.Job, job)
}

// Forget cancels an import and forgets how often it failed.
func (d *Desk) Forget(id string) {
	d.mu.Lock()
	delete(d.entries, id)
	d.mu.Unlock()
	d.runner.Forget(id)
}

// Settle drops what is known of an import that has ended well. Unlike Forget it
// costs nothing when nothing is known.
func (d *Desk) Settle(id string) {
	d.mu.Lock()
	_, known := d.entries[id]
	d.mu.Unlock()
	if known {
		d.Forget(id)
	}
}

// Doubt has an import that ended well run again: its artifact is not whole any
// more. One that runs is left alone.
func (d *Desk) Doubt(id string) {
	d.mu.Lock()
	e, known := d.entries[id]
	ended := known && e.ended
	d.mu.Unlock()
	if ended {
		d.Forget(id)
	}
}

// Feed is the source that wakes the controller of the given name. Call it once
// for each controller, before the desk starts.
func (d *Desk) Feed(controller string) source.Source {
	feed := make(chan event.TypedGenericEvent[types.NamespacedName])
	d.mu.Lock()
	d.feeds[controller] = feed
	d.mu.Unlock()
	return source.Channel(feed, handler.TypedFuncs[types.NamespacedName, ctrl.Request]{
		GenericFunc: func(_ context.Context, e event.TypedGenericEvent[types.NamespacedName], q workqueue.TypedRateLimitingInterface[ctrl.Request]) {
			q.Add(ctrl.Request{NamespacedName: e.Object})
		},
	})
}

// Start passes the runner's events to the feeds until the context ends. It
// implements manager.Runnable.
func (d *Desk) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case id, open := <-d.runner.Events():
			if !open {
				return nil
			}
			d.pass(ctx, id)
		}
	}
}

func (d *Desk) pass(ctx context.Context, id string) {
	d.mu.Lock()
	e, known := d.entries[id]
	if !known {
		d.mu.Unlock()
		return
	}
	feed, object := d.feeds[e.request.Controller], e.request.Object
	d.mu.Unlock()
	select {
	case <-ctx.Done():
	case feed <- event.TypedGenericEvent[types.NamespacedName]{Object: object}:
	}
}

func (d *Desk) replaced(r Request) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.entries[r.Job.ID]
	return ok && !reflect.DeepEqual(e.request.Job, r.Job)
}

func (d *Desk) entry(r Request) *entry {
	d.mu.Lock()
	defer d.mu.Unlock()
	e, ok := d.entries[r.Job.ID]
	if !ok {
		e = &entry{request: r}
		d.entries[r.Job.ID] = e
	}
	return e
}

// due tells whether a failed import is to be tried now, and takes note of it.
func (d *Desk) due(e *entry) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e.retryAt.IsZero() || d.clock.Now().Before(e.retryAt) {
		return false
	}
	e.retryAt = time.Time{}
	return true
}

func (d *Desk) record(e *entry, state importer.State) Transfer {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.clock.Now()
	e.ended = state.Phase == importer.Succeeded
	if state.Phase == importer.Failed && e.retryAt.IsZero() {
		e.failures++
		e.err = state.Err
		e.retryAt = now.Add(e.delay())
	}
	t := Transfer{State: state, Failures: e.failures, LastError: e.err, RetryAt: e.retryAt}
	switch {
	case t.Expired():
		t.RetryAt = time.Time{}
	case state.Phase == importer.Failed:
		t.RetryAfter = e.retryAt.Sub(now)
	}
	return t
}

const (
	firstDelay = 2 * time.Second
	lastDelay  = 5 * time.Minute
	never      = 100 * 365 * 24 * time.Hour
)

// delay is how long the next try is after the failure that was just met. A user who uploaded the wrong file may send another
// soon, one who never came is not waited for again.
func (e *entry) delay() time.Duration {
	switch {
	case errors.Is(e.err, importer.ErrUploadTimeout):
		return never
	case e.request.Job.Source.Upload != nil:
		return firstDelay
	}
	return delay(e.failures)
}

// delay is how long after the given failure, counted from one, the next try is.
func delay(failures int) time.Duration {
	d := firstDelay
	for range failures - 1 {
		d *= 2
		if d >= lastDelay {
			return lastDelay
		}
	}
	return d
}
