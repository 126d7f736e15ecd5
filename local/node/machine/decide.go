package machine

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/qemu"
)

// Instance is what counts of an instance.
type Instance struct {
	UID      types.UID
	Phase    virtv1.VirtualMachineInstancePhase
	Deleting bool
	EverRan  bool
	Reason   string
}

func (i *Instance) final() bool { return i.Phase == virtv1.Succeeded || i.Phase == virtv1.Failed }

// Situation is all that a decision depends on.
type Situation struct {
	Strategy     virtv1.VirtualMachineRunStrategy
	LastStrategy virtv1.VirtualMachineRunStrategy // the one that was acted on before
	Requests     []virtv1.VirtualMachineStateChangeRequest
	Deleting     bool
	Refused      string    // why no instance can be made from the template
	Instance     *Instance // nil when there is none
	StartFailure *virtv1.VirtualMachineStartFailure
	Now          time.Time
}

// Action is what to do about a machine's instance.
type Action int

// The actions.
const (
	Nothing Action = iota
	Create
	Delete
	LetGo // the machine is deleted and has no instance: lift the finalizer
)

// Decision is an action and what is to be remembered.
type Decision struct {
	Action       Action
	After        time.Duration // when to look again
	Requests     []virtv1.VirtualMachineStateChangeRequest
	StartFailure *virtv1.VirtualMachineStartFailure
	RunAlways    bool // a halted machine was asked to start: its strategy becomes Always, as KubeVirt does
}

// Decide is the state machine of a machine's power.
func Decide(s Situation) Decision {
	d := Decision{Requests: settle(s.Requests, s.Instance), StartFailure: countFailure(s)}
	switch {
	case unaddressed(d, s.Instance):
		d.Requests = address(d.Requests, s.Instance)
	case s.Deleting && s.Instance == nil:
		d.Action = LetGo
	case s.Instance != nil && s.Instance.Deleting:
	case s.Deleting:
		d.Action = Delete
	case s.Instance != nil:
		d = withInstance(s, d)
	default:
		d = withoutInstance(s, d)
	}
	return d
}

// settle drops requests that are fulfilled: the stop of an instance that is gone, the start of one that is there.
func settle(requests []virtv1.VirtualMachineStateChangeRequest, i *Instance) []virtv1.VirtualMachineStateChangeRequest {
	out := slices.Clone(requests)
	for len(out) > 0 && settled(out[0], i) {
		out = out[1:]
	}
	return out
}

// unaddressed says that a stop names no instance. It means the one that it meets first, never one that is made for a
// start behind it.
func unaddressed(d Decision, i *Instance) bool {
	return i != nil && first(d, virtv1.StopRequest) && d.Requests[0].UID == nil
}

func address(requests []virtv1.VirtualMachineStateChangeRequest, i *Instance) []virtv1.VirtualMachineStateChangeRequest {
	out := slices.Clone(requests)
	out[0].UID = &i.UID
	return out
}

func settled(r virtv1.VirtualMachineStateChangeRequest, i *Instance) bool {
	if r.Action == virtv1.StopRequest {
		return i == nil || r.UID != nil && *r.UID != i.UID
	}
	return i != nil && !i.Deleting && !i.final()
}

func first(d Decision, action virtv1.StateChangeRequestAction) bool {
	return len(d.Requests) > 0 && d.Requests[0].Action == action
}

// withInstance says whether the instance has to go.
func withInstance(s Situation, d Decision) Decision {
	stop := first(d, virtv1.StopRequest)
	again := false // whether one that ended by itself is started again
	switch s.Strategy {
	case virtv1.RunStrategyHalted:
		stop = true
	case virtv1.RunStrategyAlways:
		stop = stop || s.Instance.final()
	case virtv1.RunStrategyRerunOnFailure:
		again = s.Instance.Phase == virtv1.Failed || s.Instance.final() && s.Instance.Reason == string(qemu.GuestReset)
	case virtv1.RunStrategyManual, virtv1.RunStrategyOnce:
	default:
		return d
	}
	startNext := first(d, virtv1.StartRequest) && s.Instance.final()
	if again && !stop && !startNext {
		d.Requests = append([]virtv1.VirtualMachineStateChangeRequest{{Action: virtv1.StartRequest}}, d.Requests...)
	}
	if stop || again || startNext {
		d.Action = Delete
	}
	return d
}

// withoutInstance says whether one is to be created.
func withoutInstance(s Situation, d Decision) Decision {
	start := first(d, virtv1.StartRequest)
	changed := s.Strategy != s.LastStrategy
	switch s.Strategy {
	case virtv1.RunStrategyHalted:
		d.RunAlways = start
		return d
	case virtv1.RunStrategyAlways:
		start = true
	case virtv1.RunStrategyRerunOnFailure, virtv1.RunStrategyOnce:
		start = start || changed
	case virtv1.RunStrategyManual:
	default:
		return d
	}
	if !start || s.Refused != "" {
		return d
	}
	if wait := untilRetry(d.StartFailure, s.Now); wait > 0 {
		d.After = wait
		return d
	}
	d.Action = Create
	return d
}

func untilRetry(f *virtv1.VirtualMachineStartFailure, now time.Time) time.Duration {
	if f == nil || f.RetryAfterTimestamp == nil {
		return 0
	}
	return f.RetryAfterTimestamp.Sub(now)
}

// The pauses between attempts to start a machine that does not start, as KubeVirt has them.
const (
	firstPause   = 10 * time.Second
	longestPause = 5 * time.Minute
)

// countFailure counts instances in a row that failed before they ran. One that runs ends the row.
func countFailure(s Situation) *virtv1.VirtualMachineStartFailure {
	i, f := s.Instance, s.StartFailure
	switch {
	case i == nil:
		return f
	case i.EverRan || i.Phase == virtv1.Running:
		return nil
	case i.Phase != virtv1.Failed || f != nil && f.LastFailedVMIUID == i.UID:
		return f
	}
	count := 1
	if f != nil {
		count = f.ConsecutiveFailCount + 1
	}
	retry := metav1.NewTime(s.Now.Add(pause(count)))
	return &virtv1.VirtualMachineStartFailure{ConsecutiveFailCount: count, LastFailedVMIUID: i.UID, RetryAfterTimestamp: &retry}
}

func pause(failures int) time.Duration {
	out := firstPause
	for range failures - 1 {
		if out *= 2; out >= longestPause {
			return longestPause
		}
	}
	return out
}
