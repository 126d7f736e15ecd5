package job

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Work does the job and tells how far it has come, in bytes; total may be 0 while it is not known.
type Work func(ctx context.Context, progress func(done, total int64)) error

// State is what is known of a job.
type State struct {
	Running     bool
	Done, Total int64
	Err         error // set when the last run failed
	Failures    int   // failed runs in a row
	RetryAt     time.Time
}

// Finished says that the last run succeeded.
func (s State) Finished() bool { return !s.Running && s.Err == nil }

// Runner runs jobs. After a failure it waits longer each time before the job may run again.
type Runner struct {
	ctx    context.Context
	cancel context.CancelFunc
	clock  clock.Clock
	events chan string
	mu     sync.Mutex
	jobs   map[string]*job
	active sync.WaitGroup
}

type job struct {
	state    State
	notified time.Time
	cancel   context.CancelFunc
	ended    chan struct{} // of the latest run
}

// The pauses before a failed job runs again, and how often progress is told.
const (
	firstPause    = 2 * time.Second
	longestPause  = time.Minute
	progressEvery = time.Second
	eventsKept    = 1024
)

// NewRunner makes a runner without jobs.
func NewRunner(c clock.Clock) *Runner {
	ctx, cancel := context.WithCancel(context.Background())
	return &Runner{ctx: ctx, cancel: cancel, clock: c, events: make(chan string, eventsKept), jobs: map[string]*job{}}
}

// Events are the names of jobs whose state has changed.
func (r *Runner) Events() <-chan string { return r.events }

// Ensure starts the job unless it runs, has finished, or failed too recently, and returns its state.
func (r *Runner) Ensure(name string, work Work) State {
	r.mu.Lock()
	defer r.mu.Unlock()
	j, known := r.jobs[name]
	if !known {
		j = &job{}
		r.jobs[name] = j
	}
	due := !known || (j.state.Err != nil && !r.clock.Now().Before(j.state.RetryAt))
	if !j.state.Running && due && r.ctx.Err() == nil {
		r.start(name, j, work)
	}
	return j.state
}

// State returns what is known of a job without starting it.
func (r *Runner) State(name string) (State, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j, known := r.jobs[name]
	if !known {
		return State{}, false
	}
	return j.state, true
}

func (r *Runner) start(name string, j *job, work Work) {
	ctx, cancel := context.WithCancel(r.ctx)
	j.cancel = cancel
	j.state = State{Running: true, Failures: j.state.Failures}
	j.ended = make(chan struct{})
	r.active.Add(1)
	go func() {
		defer r.active.Done()
		defer close(j.ended)
		defer cancel()
		err := work(ctx, func(done, total int64) { r.progress(name, j, done, total) })
		r.finish(name, j, err)
	}()
}

func (r *Runner) progress(name string, j *job, done, total int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j.state.Done, j.state.Total = done, total
	if now := r.clock.Now(); now.Sub(j.notified) >= progressEvery {
		j.notified = now
		r.notify(name)
	}
}

func (r *Runner) finish(name string, j *job, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	j.state.Running, j.state.Err = false, err
	if err != nil {
		j.state.RetryAt = r.clock.Now().Add(Pause(j.state.Failures))
		j.state.Failures++
	}
	r.notify(name)
}

// Pause is how long a job rests after so many failures before the last one.
func Pause(failures int) time.Duration {
	pause := firstPause
	for range failures {
		if pause *= 2; pause >= longestPause {
			return longestPause
		}
	}
	return pause
}

func (r *Runner) notify(name string) {
	select {
	case r.events <- name:
	default: // whoever does not read for so long asks again by itself
	}
}

// Forget cancels a job, waits for it to end, and drops what is known of it.
func (r *Runner) Forget(name string) {
	r.mu.Lock()
	j, known := r.jobs[name]
	delete(r.jobs, name)
	r.mu.Unlock()
	if known {
		j.cancel()
		<-j.ended
	}
}

// Close cancels all jobs and waits for them to end.
func (r *Runner) Close() {
	r.cancel()
	r.active.Wait()
}
