// Package gitserver serves Git repositories over smart HTTP on the loopback address, for a Slipway that runs on one
// machine.
//
// In come directories: bare repositories made by InitDemo, or the work tree that a user works in. Out come URLs that
// git clone and git push understand, and a call for each change of a branch, whether it was pushed here or committed
// in the work tree.
//
// It never listens on anything but loopback, never answers a request made for another host name or without the log-in
// that it was given, and never writes into a work tree that has changes of its own. It runs the git binary, which must be installed.
package gitserver
