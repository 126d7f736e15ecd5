// Package lazylog makes loggers whose names and values cost nothing until a line
// is written.
//
// In comes any logr sink; out goes one that remembers what With calls add and
// hands it on with each line that is written. Controllers add half a dozen values
// to their logger for every step of every run, and nearly none of the runs has
// anything to say. It never writes, drops or reorders a line by itself.
package lazylog
