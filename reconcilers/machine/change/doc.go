// Package change holds the one table that says what a change of a virtual
// machine's spec costs: nothing, a live update or a restart.
//
// In come two specs, the current and the desired one; out goes the list of
// differences, each with its path as users know it from restartAwaitingChanges
// and an Action. The plan shows the actions before a merge, the machine
// reconciler acts on the same ones afterwards; neither has a table of its own.
//
// The package is pure: it has no client, no clock and no logger, and it never
// looks at a running instance.
package change
