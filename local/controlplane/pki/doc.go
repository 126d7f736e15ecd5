// Package pki issues the few certificates that a control plane on loopback
// needs: an authority of its own, a serving certificate, one client certificate
// per identity, and what API servers behind it believe it by.
//
// In comes a directory, out go PEM blocks and the paths of their files. Each
// authority is made once and kept, so that kubeconfigs handed out earlier keep
// working; what it issues is made anew at each start and lasts a year. It
// never trusts or writes anything outside that directory.
package pki
