// Package pki issues the few certificates that a control plane on loopback
// needs: an authority of its own, a serving certificate, and one client
// certificate per identity.
//
// In comes a directory, out go PEM blocks and the paths of their files. The
// authority is made once and kept, so that kubeconfigs handed out earlier keep
// working; what it issues is made anew at each start and lasts a year. It
// never trusts or writes anything outside that directory.
package pki
