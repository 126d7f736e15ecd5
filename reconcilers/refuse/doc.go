// Package refuse answers for the kinds that this version of Slipway accepts but
// does not act on yet: attachments, snapshots of machines, restores and MAC
// addresses.
//
// In comes an object of such a kind; out goes a status that says so, with the
// reason NotSupported and what to do instead. The package never changes anything
// else, and holds no finalizer.
package refuse
