// Package scenario holds what is the same on every engine: inputs that must not go through, with what the user has to be told.
//
// In come the addresses of the harness that runs them; out go files to push and words to look for. It starts nothing, and
// knows neither an engine nor a cluster.
package scenario
