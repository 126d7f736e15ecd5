package flow

import (
	"fmt"
	"time"
)

type outcomeKind int

const (
	kindDone outcomeKind = iota
	kindWait
	kindStall
	kindFail
)

// Outcome is what a step says when it returns. The set is closed: Done, Wait,
// Stall and Fail make the only values; the zero value is Done.
type Outcome struct {
	kind    outcomeKind
	reason  string
	message string
	after   time.Duration
	err     error
}

// Done says that the step has nothing left to do; the next step runs.
func Done() Outcome { return Outcome{} }

// Wait says that the step waits for something outside. The run ends without an
// error and is woken by a watch, or after the given time when it is not zero.
// The reason is a CamelCase condition reason; the message names what is awaited.
func Wait(reason string, after time.Duration, format string, args ...any) Outcome {
	return Outcome{kind: kindWait, reason: reason, after: after, message: fmt.Sprintf(format, args...)}
}

// Stall says that only a change of the spec, or of what it refers to, can help.
// The run ends and is not retried.
func Stall(reason, format string, args ...any) Outcome {
	return Outcome{kind: kindStall, reason: reason, message: fmt.Sprintf(format, args...)}
}

// Fail says that the step met an error that may pass. The run is retried with
// backoff. The error's text becomes the message.
func Fail(reason string, err error) Outcome {
	return Outcome{kind: kindFail, reason: reason, message: err.Error(), err: err}
}

// IsDone tells whether the step was done.
func (o Outcome) IsDone() bool { return o.kind == kindDone }

// IsWaiting tells whether the step waits for something outside.
func (o Outcome) IsWaiting() bool { return o.kind == kindWait }

// IsStalled tells whether only a change of the input can help.
func (o Outcome) IsStalled() bool { return o.kind == kindStall }

// IsFailed tells whether the step met an error and is retried with backoff.
func (o Outcome) IsFailed() bool { return o.kind == kindFail }

// Reason is the CamelCase reason given with the outcome, empty for Done.
func (o Outcome) Reason() string { return o.reason }

// Message is the text given with the outcome, empty for Done.
func (o Outcome) Message() string { return o.message }

// After is how long a Wait lasts at most; zero means until a watch wakes it.
func (o Outcome) After() time.Duration { return o.after }

// Err is the error of a Fail, nil otherwise.
func (o Outcome) Err() error { return o.err }

// String names the outcome for logs and metric labels.
func (o Outcome) String() string {
	return [...]string{"done", "wait", "stall", "fail"}[o.kind]
}

// Result is how a whole run ended: with the step that did not say Done and its
// outcome, or with an empty step and Done when every step ran.
type Result struct {
	Step    string
	Outcome Outcome
}
