package flow

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Event is something a step wants people to see on the object.
type Event struct {
	// Type is corev1.EventTypeNormal or corev1.EventTypeWarning.
	Type string
	// Reason is a CamelCase word, as the kind's reference lists them.
	Reason string
	// Step is the step that emitted it; it becomes the event's action.
	Step string
	// Message is one sentence.
	Message string
}

type eventsKey struct{}

type eventLog struct {
	step   string
	events []Event
}

// Emit records a Normal event. flow posts it after the status was patched, so
// that a conflict, which repeats the run, does not repeat the event.
func Emit(ctx context.Context, reason, format string, args ...any) {
	emit(ctx, corev1.EventTypeNormal, reason, fmt.Sprintf(format, args...))
}

// Warn records a Warning event in the same way as Emit.
func Warn(ctx context.Context, reason, format string, args ...any) {
	emit(ctx, corev1.EventTypeWarning, reason, fmt.Sprintf(format, args...))
}

func emit(ctx context.Context, eventType, reason, message string) {
	log, ok := ctx.Value(eventsKey{}).(*eventLog)
	if !ok {
		return
	}
	log.events = append(log.events, Event{Type: eventType, Reason: reason, Step: log.step, Message: message})
}

func withEvents(ctx context.Context) (context.Context, *eventLog) {
	log := &eventLog{}
	return context.WithValue(ctx, eventsKey{}, log), log
}
