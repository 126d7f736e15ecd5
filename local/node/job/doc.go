// Package job runs long work in the background of reconcilers: each piece of work has a name, runs once at a time, and
// tells its progress and its end by a channel of names.
//
// In: a name and a function. Out: the state of that name. It keeps no state across processes; work must be idempotent.
package job
