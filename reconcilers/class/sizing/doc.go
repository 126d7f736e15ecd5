// Package sizing decides whether a machine's size fits the sizing policies of
// its class.
//
// In come the policies and a size; out goes nil or an error that says which
// limit is missed and what would fit. Admission and the machine reconciler ask
// the same function, so that what is admitted can also start. The package is
// pure.
package sizing
