package power

import (
	"cmp"
	"time"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// Instance is the state of a machine's instance.
type Instance int

// States of an instance.
const (
	// Absent: there is no instance.
	Absent Instance = iota
	// Launching: it was created and its guest does not run yet.
	Launching
	// Running: its guest runs.
	Running
	// Stopping: it is being deleted.
	Stopping
	// ShutDown: the guest powered it off.
	ShutDown
	// Reset: the guest asked for a reset, which ended the instance.
	Reset
	// Failed: it died.
	Failed
)

// Alive tells whether a guest runs, or is about to, in the instance.
func (i Instance) Alive() bool { return i == Launching || i == Running }

// Finished tells whether the instance ran to its end and is still there.
func (i Instance) Finished() bool { return i == ShutDown || i == Reset || i == Failed }

// Action is what to do about the power now.
type Action int

// Actions.
const (
	Keep Action = iota
	Start
	Stop
	Restart
)

// String names the action.
func (a Action) String() string { return [...]string{"Keep", "Start", "Stop", "Restart"}[a] }

// Input is what the decision depends on.
type Input struct {
	Policy   v1alpha2.RunPolicy
	Instance Instance
	// StartRequested: somebody asked for a start, and it was not done yet.
	StartRequested bool
	// RestartRequested: somebody asked to restart this very instance.
	RestartRequested bool
	// Ready: the machine's configuration is applied and what it depends on is
	// there, so that a start can succeed.
	Ready bool
}

// rule is an entry of the table: what to do, and whether only when asked.
type rule struct {
	action Action
	asked  bool
}

var (
	keep             = rule{}
	start            = rule{action: Start}
	startWhenAsked   = rule{action: Start, asked: true}
	stop             = rule{action: Stop}
	restartWhenAsked = rule{action: Restart, asked: true}
)

// table says for each policy and state what happens. What is missing is kept;
// Stopping is missing everywhere, because a stop is never interrupted.
var table = map[v1alpha2.RunPolicy]map[Instance]rule{
	v1alpha2.AlwaysOffPolicy: {
		Absent: keep, Launching: stop, Running: stop, ShutDown: keep, Reset: keep, Failed: keep,
	},
	v1alpha2.AlwaysOnPolicy: {
		Absent: start, Running: restartWhenAsked, Launching: restartWhenAsked, ShutDown: start, Reset: start, Failed: start,
	},
	v1alpha2.ManualPolicy: {
		Absent: startWhenAsked, Running: restartWhenAsked, Launching: restartWhenAsked, ShutDown: startWhenAsked, Reset: start, Failed: startWhenAsked,
	},
	v1alpha2.AlwaysOnUnlessStoppedManually: {
		Absent: startWhenAsked, Running: restartWhenAsked, Launching: restartWhenAsked, ShutDown: startWhenAsked, Reset: start, Failed: start,
	},
}

// Decide is the action for the input. A start or restart that cannot succeed
// yet is kept for later.
func Decide(in Input) Action {
	action := Wanted(in)
	if action != Stop && !in.Ready {
		return Keep
	}
	return action
}

// Wanted is the action that the table asks for, whether or not it can succeed
// yet. A request to restart an instance that ended meanwhile asks for a start.
func Wanted(in Input) Action {
	r := table[cmp.Or(in.Policy, v1alpha2.AlwaysOnUnlessStoppedManually)][in.Instance]
	asked := map[Action]bool{Start: in.StartRequested || in.RestartRequested, Restart: in.RestartRequested}[r.action]
	if r.asked && !asked {
		return Keep
	}
	return r.action
}

// An instance that lived for less than briefLife is started again only after
// backoff, so that one that cannot live does not keep the machine busy.
const (
	briefLife = time.Minute
	backoff   = 10 * time.Second
)

// Delay is how long to wait from now until an instance that ended is started
// again.
func Delay(created, finished, now time.Time) time.Duration {
	if finished.IsZero() || finished.Sub(created) >= briefLife {
		return 0
	}
	return max(0, backoff-now.Sub(finished))
}
