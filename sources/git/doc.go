// Package git turns a Git remote and a reference into a commit, and a commit into a read-only tree.
//
// In come a URL, credentials and a reference as a GitRepository names them. Resolve asks the server which commit is
// meant and transfers nothing; Fetch brings that one commit, without its history, hands it to whoever verifies it, and
// returns its files, those of submodules on the same server too when asked to. The protocol is spoken by package wire, what
// comes is checked by package pack; here are the log-ins, the addresses that are allowed, and what of a tree is shown.
//
// It never checks files out, never runs the git binary or a hook, never talks any protocol but HTTP, HTTPS and SSH,
// never trusts an SSH host it has not been told of, and never puts a credential into an error.
package git
