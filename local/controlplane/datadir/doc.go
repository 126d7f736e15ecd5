// Package datadir is the control plane's directory on disk: its layout, the
// lock that lets one process use it at a time, the port remembered from the
// last start, and a place for Unix sockets whose paths must be short.
//
// In comes a path, out go paths, a listener and a lock. It never reads or
// writes what etcd and the certificate authority keep there.
package datadir
