// Package git turns a Git remote and a reference into a commit, and a commit into a read-only tree.
//
// In come a URL, credentials and a reference as a GitRepository names them. Resolve asks the server which commit is
// meant and transfers nothing; Fetch brings that one commit, without its history, and returns its files.
//
// It never checks files out, never runs the git binary or a hook, never talks any protocol but HTTP, HTTPS and SSH,
// never trusts an SSH host it has not been told of, and never puts a credential into an error.
package git
