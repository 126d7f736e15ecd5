// Package environment brings the objects of one source path into the cluster and
// keeps them there: it renders the artifact of a source, plans, applies, judges
// health and prunes, in that order and for one Environment at a time.
//
// In come an Environment, its source's artifact from the store, or the archive of
// a source of Flux's, and the objects as informers see them. Out go server-side applies and deletions, as the
// Environment's ServiceAccount, and the Environment's status. What it never does:
// write as itself, show the content of a Secret, delete data without approval,
// prune before the new revision works, poll for health, or talk to Git.
//
// Planner is the same way from a tree to a plan for callers that only want to
// look.
package environment
