// Package flow is the one reconciler that every kind of Slipway runs on.
//
// A kind brings a Definition: how to make its scope, the literal list of named
// steps, the steps of its teardown and a pure Report that writes the object's
// status from the scope. flow fetches the object, keeps its finalizer, runs the
// steps until one does not say Done, calls Report once, patches the status once
// (not at all when nothing changed), then posts the events that steps emitted.
//
// In comes a request for one object; out go at most one metadata patch, one
// status patch and the events. flow knows no kind, never decides anything for
// one, and alone translates an Outcome into controller-runtime's Result.
package flow
