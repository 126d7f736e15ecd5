// Package fault is what went wrong with the server that a source comes from.
//
// In come what was tried, where, and what happened; out goes an error without a
// credential in its text. What it never does: decide what kind of error it is.
package fault

import "slipway.dev/slipway/internal/scrub"

// Error is what went wrong with a remote. Its text holds no credentials.
type Error struct {
	// Op is what was tried, such as resolve, fetch or push.
	Op string
	// URL is the remote's address without user information.
	URL string
	// Kind is an error of the package that talked to the remote, or nil when the cause is none of them.
	Kind error
	// Detail says what happened, and what to do where that is known.
	Detail string
}

// New makes an error and takes the remote's secrets out of it.
func New(op, url string, kind error, detail string, clean scrub.Scrubber) *Error {
	return &Error{Op: op, URL: scrub.URL(url), Kind: kind, Detail: clean.Text(detail)}
}

// Error implements error.
func (e *Error) Error() string {
	text := e.Op + " " + e.URL + ": "
	if e.Kind != nil {
		text += e.Kind.Error() + ": "
	}
	return text + e.Detail
}

// Unwrap returns the kind of the error.
func (e *Error) Unwrap() error { return e.Kind }
