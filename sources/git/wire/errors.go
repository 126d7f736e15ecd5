package wire

import (
	"errors"
	"fmt"
)

var (
	// ErrProtocol says that the server does not speak Git's smart protocol as we know it.
	ErrProtocol = errors.New("not an answer of a Git server")
	// ErrTooLarge says that a server sent more than is accepted.
	ErrTooLarge = errors.New("the server sends too much")
	// ErrUnauthorized says that the server wants credentials, or others.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrForbidden says that the credentials do not allow it.
	ErrForbidden = errors.New("forbidden")
	// ErrNoRepository says that there is no repository, or none that these credentials may see.
	ErrNoRepository = errors.New("no such repository")
	// ErrRedirect says that a server redirects where we do not follow.
	ErrRedirect = errors.New("redirect refused")
)

// RemoteError is what the server reported in the protocol's own way.
type RemoteError struct {
	// Text is the server's, made printable.
	Text string
}

// Error implements error.
func (e *RemoteError) Error() string { return "the server says: " + e.Text }

// StatusError is an HTTP status that has no error of its own.
type StatusError struct {
	// Code of the response.
	Code int
	// Text is the beginning of its body, made printable.
	Text string
}

// Error implements error.
func (e *StatusError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("the server answers with status %d", e.Code)
	}
	return fmt.Sprintf("the server answers with status %d: %s", e.Code, e.Text)
}
