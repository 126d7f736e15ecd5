// Package source keeps the artifact of each source current.
//
// In come a GitRepository or an OCIRepository and the Secrets that it names; out go a tree in the
// store and, in the status, the artifact that names it. A repository is asked
// where its reference points and fetched only when that changed, when the fields
// that choose files changed, or when the store lost the tree. What it never does:
// render, apply, or take an artifact away because the server cannot be reached.
package source
