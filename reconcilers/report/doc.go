// Package report writes the health that a revision reached back to the revision.
//
// In comes an Environment whose last revision has settled: it is healthy,
// degraded, waits for people, or was refused. Out goes one entry in the Git note
// of that commit, or in a document that refers to that bundle, once for each thing there is to say, and the condition Reported.
// A commit that another one overtook before it settled gets an entry that says so.
// What it never does: judge health, wait in a worker, or keep an Environment from
// working because the server takes no notes.
package report
