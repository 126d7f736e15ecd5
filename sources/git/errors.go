package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	stdhttp "net/http"
	"net/url"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/skeema/knownhosts"
)

var (
	// ErrAuth says that the server refused the credentials, or that we refused the server's host key.
	ErrAuth = errors.New("authentication failed")
	// ErrNotFound says that the repository, the reference or the commit is not there.
	ErrNotFound = errors.New("not found")
	// ErrUnreachable says that the server could not be reached or did not answer in time.
	ErrUnreachable = errors.New("server is unreachable")
	// ErrRefused says that we do not even try: a protocol, a credential or a size that is not allowed.
	ErrRefused = errors.New("refused")
	// ErrMoved says that a reference moved between Resolve and Fetch and that the server does not give out the commit
	// it pointed to. The remedy is to resolve it again.
	ErrMoved = errors.New("reference has moved")
)

// Error is what went wrong with a remote. Its text holds no credentials.
type Error struct {
	// Op is what was tried: resolve, fetch or push.
	Op string
	// URL is the remote's address without user information.
	URL string
	// Kind is one of the errors of this package, or nil when the cause is none of them.
	Kind error
	// Detail says what happened, and what to do where that is known.
	Detail string
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

// fail makes an Error from whatever the transport returned.
func (r Remote) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return err
	}
	detail, kind := classify(err)
	return &Error{Op: op, URL: redact(r.URL), Kind: kind, Detail: r.scrub(detail)}
}

func (r Remote) errorf(op string, kind error, format string, a ...any) error {
	return &Error{Op: op, URL: redact(r.URL), Kind: kind, Detail: r.scrub(fmt.Sprintf(format, a...))}
}

func classify(err error) (detail string, kind error) {
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired):
		return "the server wants credentials; name a Secret with username and password or bearerToken", ErrAuth
	case errors.Is(err, transport.ErrAuthorizationFailed):
		return "the server refused the credentials", ErrAuth
	case errors.Is(err, errSSHAuth), knownhosts.IsHostKeyChanged(err), knownhosts.IsHostUnknown(err):
		return err.Error(), ErrAuth
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return "there is no such repository, or it is hidden from these credentials", ErrNotFound
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return "the repository has no commits yet", ErrNotFound
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return "the server did not send the object", ErrNotFound
	case errors.Is(err, errPackTooLarge):
		return err.Error(), ErrRefused
	case unreachable(err):
		return err.Error(), ErrUnreachable
	}
	return err.Error(), nil
}

func unreachable(err error) bool {
	var (
		network net.Error
		wrapped *plumbing.UnexpectedError
		status  *githttp.Err
		address *url.Error
	)
	if errors.As(err, &wrapped) { // it does not unwrap
		err = wrapped.Err
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return true
	case errors.As(err, &status):
		return status.StatusCode() >= 500 || status.StatusCode() == stdhttp.StatusTooManyRequests
	}
	return errors.As(err, &network) || errors.As(err, &address)
}

// redact removes user information from a URL.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(URL that does not parse)"
	}
	u.User = nil
	return u.String()
}

// scrub removes whatever the remote keeps secret from a text.
func (r Remote) scrub(text string) string {
	for _, secret := range r.Auth.secrets() {
		text = strings.ReplaceAll(text, secret, "***")
	}
	if u, err := url.Parse(r.URL); err == nil && u.User != nil {
		text = strings.ReplaceAll(text, u.User.String()+"@", "")
		if password, set := u.User.Password(); set && password != "" {
			text = strings.ReplaceAll(text, password, "***")
		}
	}
	return text
}
