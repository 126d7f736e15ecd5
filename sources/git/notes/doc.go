// Package notes writes Git notes on a remote: texts that belong to a commit without changing it.
//
// In come a commit and a text; what goes out is a commit on the notes reference of the remote, readable with
// git notes --ref=slipway show. A note replaces the one that the commit had, and writing the same text again does
// nothing.
//
// It never touches a branch or a tag, never rewrites the history of the notes, and keeps nothing between two calls.
package notes
