package health

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// object reads what rules look at. It changes and copies nothing.
type object struct {
	u          *unstructured.Unstructured
	now        time.Time
	conditions []condition
}

func newObject(u *unstructured.Unstructured, now time.Time) object {
	o := object{u: u, now: now}
	for _, entry := range o.list("status", "conditions") {
		if fields, ok := entry.(map[string]any); ok {
			o.conditions = append(o.conditions, conditionOf(fields))
		}
	}
	return o
}

func (o object) list(path ...string) []any {
	value, _, _ := unstructured.NestedFieldNoCopy(o.u.Object, path...)
	list, _ := value.([]any)
	return list
}

func (o object) text(path ...string) string {
	value, _, _ := unstructured.NestedString(o.u.Object, path...)
	return value
}

func (o object) phase() string { return o.text("status", "phase") }

// notObserved judges an object whose status does not speak about its spec yet.
func (o object) notObserved() (Health, bool) {
	if status, _ := o.u.Object["status"].(map[string]any); len(status) == 0 {
		return progressing(ReasonNotObserved, "was just made; its controller has not seen it yet"), true
	}
	return o.unseenChange()
}

// unseenChange judges an object whose status says that it speaks about an older spec.
func (o object) unseenChange() (Health, bool) {
	observed, found, _ := unstructured.NestedInt64(o.u.Object, "status", "observedGeneration")
	if found && observed < o.u.GetGeneration() {
		return progressing(ReasonNotObserved, "was just changed; its controller has not seen the change yet"), true
	}
	return Health{}, false
}

// condition is what rules need of a condition.
type condition struct {
	kind, status, reason, message string
	since                         time.Time
}

func (c condition) isTrue() bool  { return c.status == "True" }
func (c condition) isFalse() bool { return c.status == "False" }

func conditionOf(fields map[string]any) condition {
	return condition{
		kind:    textOf(fields["type"]),
		status:  textOf(fields["status"]),
		reason:  textOf(fields["reason"]),
		message: textOf(fields["message"]),
		since:   timeOf(fields["lastTransitionTime"]),
	}
}

// condition of a type; its zero value when there is none.
func (o object) condition(conditionType string) condition {
	for _, c := range o.conditions {
		if c.kind == conditionType {
			return c
		}
	}
	return condition{}
}

// notSupported is the reason by which controllers refuse what they cannot do.
const notSupported = "NotSupported"

// refused finds the condition by which a controller refused the object.
func (o object) refused() (condition, bool) {
	for _, c := range o.conditions {
		if c.isFalse() && c.reason == notSupported {
			return c, true
		}
	}
	return condition{}, false
}

func textOf(value any) string {
	text, _ := value.(string)
	return text
}

func timeOf(value any) time.Time {
	parsed, err := time.Parse(time.RFC3339, textOf(value))
	if err != nil {
		return time.Time{}
	}
	return parsed
}

// lastMove is when somebody last wrote the object's status or its spec: the API
// server keeps that time with the managed fields.
func (o object) lastMove() time.Time {
	last := o.u.GetCreationTimestamp().Time
	for _, entry := range o.u.GetManagedFields() {
		if entry.Time != nil && entry.Time.After(last) {
			last = entry.Time.Time
		}
	}
	for _, c := range o.conditions {
		if c.since.After(last) {
			last = c.since
		}
	}
	return last
}

// moving judges an object that is on its way: as late once it has stood still
// for longer than the limit.
func (o object) moving(reason, message string) Health {
	last := o.lastMove()
	if last.IsZero() {
		return progressing(reason, message)
	}
	deadline := last.Add(StandstillLimit)
	if !o.now.Before(deadline) {
		return degraded(ReasonStandsStill, fmt.Sprintf("%s; nothing has moved since %s", message, last.UTC().Format(time.RFC3339)))
	}
	h := progressing(reason, message)
	h.Deadline = deadline
	return h
}

// describe joins what an object says about itself.
func describe(what string, c condition) string {
	if c.message == "" {
		return what
	}
	return what + ": " + c.message
}
