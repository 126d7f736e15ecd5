// Package guard keeps an object alive while somebody else needs it.
//
// In comes an object, a protection finalizer and whether it is needed; out goes
// at most one patch of the object's finalizers. The package never decides who
// needs what.
package guard
