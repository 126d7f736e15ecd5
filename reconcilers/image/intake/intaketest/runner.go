// Package intaketest stands in for the importer and for DVCR in the tests of
// those who import: the test says how a job stands, and sees what was asked for.
package intaketest

import (
	"context"
	"sync"

	"slipway.dev/slipway/dvcr/importer"
)

// Runner is an intake.Runner whose jobs stand as the test says.
type Runner struct {
	mu     sync.Mutex
	jobs   map[string]importer.Job
	states map[string]importer.State
	calls  []string
	events chan string
}

// NewRunner makes a runner on which every job runs without progress.
func NewRunner() *Runner {
	return &Runner{jobs: map[string]importer.Job{}, states: map[string]importer.State{}, events: make(chan string, 16)}
}

// Set says how the job of an ID stands from now on.
func (r *Runner) Set(id string, s importer.State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states[id] = s
}

// Notify sends the event that a job changed.
func (r *Runner) Notify(id string) { r.events <- id }

// Job is what was last asked for under an ID.
func (r *Runner) Job(id string) (importer.Job, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	job, ok := r.jobs[id]
	return job, ok
}

// Calls are the calls that changed something, such as "forget <id>", since it
// was last asked.
func (r *Runner) Calls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := r.calls
	r.calls = nil
	return calls
}

// Ensure implements intake.Runner.
func (r *Runner) Ensure(_ context.Context, job importer.Job) importer.State {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.jobs[job.ID]; !known {
		r.calls = append(r.calls, "start "+job.ID)
	}
	r.jobs[job.ID] = job
	if state, ok := r.states[job.ID]; ok {
		return state
	}
	return importer.State{Phase: importer.Running}
}

// Retry implements intake.Runner: the job runs again.
func (r *Runner) Retry(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, "retry "+id)
	delete(r.states, id)
}

// Forget implements intake.Runner.
func (r *Runner) Forget(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, "forget "+id)
	delete(r.jobs, id)
	delete(r.states, id)
}

// Events implements intake.Runner.
func (r *Runner) Events() <-chan string { return r.events }
