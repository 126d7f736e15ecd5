package importer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"
	"time"

	"k8s.io/utils/clock"
	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/upload"
	"slipway.dev/slipway/internal/egress"
)

// Options of a Runner; only Dir must be set.
type Options struct {
	// Dir holds downloads while they are needed. It is created.
	Dir string
	// Concurrency is how many jobs run side by side; 0 means 2.
	Concurrency int
	// MaxVirtualSize refuses larger disks, and larger downloads; 0 means 16 TiB.
	MaxVirtualSize int64
	// UnpackGrace is how many bytes may come out of a small file before their ratio to it counts; 0 means 1 GiB.
	UnpackGrace int64
	// StallTimeout ends an attempt to download during which nothing arrived for so long; 0 means 30 seconds.
	StallTimeout time.Duration
	// Uploads receives what users upload; nil refuses such jobs.
	Uploads *upload.Server
	// UploadTimeout ends a job for which no user sends anything for so long; 0 means a day.
	UploadTimeout time.Duration
	// Volumes opens volumes that images are made from; nil refuses such jobs.
	Volumes Volumes
	// Faces makes the forms in which other programs, such as KubeVirt and CDI, read the disks of a repository; nil makes none.
	Faces func(*remote.Repository) disk.FaceMaker
	// Egress says which addresses sources may lie at.
	Egress egress.Policy
	// Architecture is chosen from images for several, in Go's spelling; empty means this machine's.
	Architecture string
	// Clock is nil for the real one.
	Clock clock.WithTickerAndDelayedExecution
}

// keepPartial is how long a download that no job asked for again is kept.
const keepPartial = 24 * time.Hour

func (o Options) withDefaults() Options {
	if o.Concurrency <= 0 {
		o.Concurrency = 2
	}
	if o.MaxVirtualSize <= 0 {
		o.MaxVirtualSize = 16 << 40
	}
	if o.UnpackGrace <= 0 {
		o.UnpackGrace = 1 << 30
	}
	if o.StallTimeout <= 0 {
		o.StallTimeout = 30 * time.Second
	}
	if o.UploadTimeout <= 0 {
		o.UploadTimeout = 24 * time.Hour
	}
	if o.Architecture == "" {
		o.Architecture = runtime.GOARCH
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return o
}

// Runner runs jobs in this process. Its methods return at once and are safe for concurrent use.
type Runner struct {
	registry Registry
	options  Options
	slots    chan struct{}
	ctx      context.Context //nolint:containedctx // ends the jobs, which outlive the calls that start them
	stop     context.CancelFunc
	running  sync.WaitGroup
	events   chan string

	mu      sync.Mutex
	jobs    map[string]*entry
	changed map[string]bool
	wake    chan struct{}
}

// entry is a job that the runner knows.
type entry struct {
	job    Job
	state  State
	meter  *meter
	cancel context.CancelFunc
	done   chan struct{}
}

// NewRunner returns a runner that stores images in registry. Close ends it.
func NewRunner(registry Registry, o Options) *Runner {
	o = o.withDefaults()
	r := &Runner{
		registry: registry,
		options:  o,
		slots:    make(chan struct{}, o.Concurrency),
		events:   make(chan string),
		jobs:     map[string]*entry{},
		changed:  map[string]bool{},
		wake:     make(chan struct{}, 1),
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	r.removeOld()
	r.running.Go(r.deliver)
	return r
}

// removeOld deletes downloads that an earlier process left and no one came back for.
func (r *Runner) removeOld() {
	entries, err := os.ReadDir(r.options.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && e.IsDir() && r.options.Clock.Since(info.ModTime()) > keepPartial {
			_ = os.RemoveAll(filepath.Join(r.options.Dir, e.Name())) // tried again by the next runner
		}
	}
}

// Ensure starts a job unless it was started before, and returns its state. A job whose source or destination is not that of
// the job known by its ID replaces it. A failed job stays failed until Retry or Forget.
func (r *Runner) Ensure(_ context.Context, job Job) State {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ctx.Err(); err != nil {
		return State{Phase: Failed, Err: fmt.Errorf("start import: the runner is closed: %w", err)}
	}
	e, ok := r.jobs[job.ID]
	if ok && reflect.DeepEqual(e.job, job) {
		return e.current()
	}
	var before <-chan struct{}
	if ok {
		e.cancel()
		before = e.done
	}
	return r.begin(job, before).current()
}

// begin starts a job as soon as the one before it, which uses the same directory, has ended.
func (r *Runner) begin(job Job, before <-chan struct{}) *entry {
	ctx, cancel := context.WithCancel(r.ctx)
	e := &entry{job: job, state: State{Phase: Pending}, cancel: cancel, done: make(chan struct{})}
	e.meter = newMeter(r.options.Clock, func() { r.notify(job.ID) })
	r.jobs[job.ID] = e
	r.running.Go(func() {
		defer close(e.done)
		defer cancel()
		if before != nil {
			<-before
		}
		r.run(ctx, e)
	})
	return e
}

// run waits for a free slot and runs the job. One that waits for a user takes no slot.
func (r *Runner) run(ctx context.Context, e *entry) {
	if e.job.Source.Upload == nil {
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-ctx.Done():
			return
		}
		r.set(e, State{Phase: Running})
	}
	result, err := r.newTask(e).run(ctx, r.registry)
	switch {
	case ctx.Err() != nil:
		// The job was forgotten or the runner closed; no one is told.
	case err != nil:
		r.set(e, State{Phase: Failed, Err: err})
	default:
		r.set(e, State{Phase: Succeeded, Result: result})
	}
}

func (r *Runner) newTask(e *entry) *task {
	t := &task{job: e.job, options: r.options, dir: r.dirOf(e.job.ID), meter: e.meter}
	if s := e.job.Source.Upload; s != nil && r.options.Uploads != nil {
		if s.MaxSize > 0 {
			t.options.MaxVirtualSize = min(t.options.MaxVirtualSize, s.MaxSize)
		}
		urls := r.options.Uploads.URLs(e.job.ID)
		t.phase = func(p Phase) { r.set(e, State{Phase: p, Upload: &urls}) }
	}
	return t
}

func (r *Runner) set(e *entry, s State) {
	r.mu.Lock()
	e.state = s
	r.mu.Unlock()
	r.notify(e.job.ID)
}

// current returns the state with the progress as of now.
func (e *entry) current() State {
	s := e.state
	s.Progress = e.meter.current()
	return s
}

// dirOf returns the directory of a job's downloads; IDs may hold anything, so their digest names it.
func (r *Runner) dirOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(r.options.Dir, hex.EncodeToString(sum[:16]))
}

// Retry lets a failed job start again at the next Ensure. What it downloaded is used.
func (r *Runner) Retry(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e, ok := r.jobs[id]; ok && e.state.Phase == Failed {
		delete(r.jobs, id)
	}
}

// Forget ends a job, whatever its state, and removes what it downloaded. The artifact in DVCR stays.
func (r *Runner) Forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.jobs[id]
	delete(r.jobs, id)
	delete(r.changed, id)
	r.running.Go(func() {
		if ok {
			e.cancel()
			<-e.done
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if _, again := r.jobs[id]; !again {
			_ = os.RemoveAll(r.dirOf(id)) // what stays is removed when it is old
		}
	})
}

// Events delivers the IDs of jobs whose state changed; progress at most once a second for each. An ID that is not received yet
// is not delivered twice. The channel is closed by Close.
func (r *Runner) Events() <-chan string { return r.events }

func (r *Runner) notify(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.jobs[id]; !ok {
		return
	}
	r.changed[id] = true
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// deliver sends events, so that a slow receiver never holds up a job.
func (r *Runner) deliver() {
	defer close(r.events)
	for {
		id, ok := r.nextChanged()
		if !ok {
			select {
			case <-r.wake:
				continue
			case <-r.ctx.Done():
				return
			}
		}
		select {
		case r.events <- id:
		case <-r.ctx.Done():
			return
		}
	}
}

func (r *Runner) nextChanged() (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id := range r.changed {
		delete(r.changed, id)
		return id, true
	}
	return "", false
}

// Close ends all jobs and waits for them. Their downloads stay, for the next runner to continue.
func (r *Runner) Close() {
	r.stop()
	r.running.Wait()
}

func decodeJSON(b []byte, into any) error {
	if err := json.Unmarshal(b, into); err != nil {
		return errors.Join(ErrNotDiskImage, fmt.Errorf("decode manifest: %w", err))
	}
	return nil
}
