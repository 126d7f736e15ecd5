// Package admission defaults and validates the module kinds as they are written.
//
// In come admission reviews of the API server; out go patches that fill what a
// user left open (class, core fraction, network ids) and refusals that name the
// field and the remedy. It checks what a schema cannot express; everything that
// may still become right, such as a class that is yet to be created, is admitted
// and told by the objects' conditions. The rules are pure functions; what they
// need to know of other objects is read before.
//
// The package also translates VirtualMachineClass between its versions for the
// API server. It never writes an object.
package admission
