// Package scenario is what is the same on every engine: the README's walk-through, what may go wrong around it, and inputs that
// must not go through, with what the user has to be told.
//
// In comes a Demo, which is a running platform as a harness reaches it; the outcome is a passed or failed test.
//
// What it never does: start a platform, or know which engine runs the guests.
package scenario
