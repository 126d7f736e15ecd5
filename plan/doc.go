// Package plan says what an apply would do before it is done.
//
// In come the objects that a revision renders, the same objects as the cluster
// has them, the inventory and the prune policy. Out goes a Plan: one Change per
// object, each with a verdict, in the order in which they can be applied, and
// the problems that no apply could solve.
//
// plan is pure: it never talks to a cluster, never reads a clock, and never
// shows the content of a Secret. What a change does to a running machine is
// told by Deciders that the caller injects.
package plan
