// Package wake decides which changes of an object wake its own reconciler.
//
// In comes an event; out goes whether it matters. The package never looks at a
// kind's spec or status itself.
package wake
