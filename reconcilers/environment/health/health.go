package health

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// State is what matters about an object.
type State string

// The states, from best to worst.
const (
	// Healthy: the object is as Git wants it.
	Healthy State = "Healthy"
	// Suspended: it waits for somebody on purpose, as a paused machine does.
	Suspended State = "Suspended"
	// Progressing: it is on its way.
	Progressing State = "Progressing"
	// Degraded: it needs somebody to look at it.
	Degraded State = "Degraded"
)

// Reasons that this package gives; others are the object's own.
const (
	// ReasonAwaitingRestart: changes are applied and take effect at a restart.
	ReasonAwaitingRestart = "AwaitingRestart"
	// ReasonNotObserved: the object's controller has not seen it yet.
	ReasonNotObserved = "NotObserved"
	// ReasonStandsStill: the object is on its way and has not moved for long.
	ReasonStandsStill = "StandsStill"
	// ReasonDependency: what the object needs has not been ready for long.
	ReasonDependency = "DependencyNotReady"
	// ReasonTerminating: the object is being deleted.
	ReasonTerminating = "Terminating"
	// ReasonMissing: the object is not there.
	ReasonMissing = "Missing"
)

// How long something may stand still before it is degraded.
const (
	// StandstillLimit is for work that shows progress, such as an import.
	StandstillLimit = 10 * time.Minute
	// DependencyLimit is for a machine whose class, disk or address is not ready.
	DependencyLimit = 2 * time.Minute
)

// Health of one object.
type Health struct {
	State   State
	Reason  string
	Message string
	// Deadline is when the object will be called degraded unless it moves; zero
	// when time alone does not change the verdict.
	Deadline time.Time
}

// Works tells whether the object does its job, so that what it replaces may go.
func (h Health) Works() bool {
	return h.State == Healthy || h.State == Suspended || h.Reason == ReasonAwaitingRestart
}

func healthy(message string) Health { return Health{State: Healthy, Message: message} }

func progressing(reason, message string) Health {
	return Health{State: Progressing, Reason: reason, Message: message}
}

func degraded(reason, message string) Health {
	return Health{State: Degraded, Reason: reason, Message: message}
}

func suspended(reason, message string) Health {
	return Health{State: Suspended, Reason: reason, Message: message}
}

// Of judges one object by itself. Use Judge where the objects around it are
// known.
func Of(u *unstructured.Unstructured, now time.Time) Health {
	o := newObject(u, now)
	if u.GetDeletionTimestamp() != nil {
		return progressing(ReasonTerminating, "is being deleted")
	}
	judge, typed := judges[u.GroupVersionKind().GroupKind()]
	if !typed {
		return byKstatus(o)
	}
	if behind, ok := o.notObserved(); ok {
		return behind
	}
	if c, refused := o.refused(); refused {
		return degraded(c.reason, describe("asks for something that is not implemented", c))
	}
	return judge(o)
}
