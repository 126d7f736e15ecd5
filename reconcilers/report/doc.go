// Package report writes the health that a commit reached back to the commit.
//
// In comes an Environment whose last revision has settled: it is healthy,
// degraded, waits for people, or was refused. Out goes one entry in the Git note
// of that commit, once for each thing there is to say, and the condition Reported.
// A commit that another one overtook before it settled gets an entry that says so.
// What it never does: judge health, wait in a worker, or keep an Environment from
// working because the server takes no notes.
package report
