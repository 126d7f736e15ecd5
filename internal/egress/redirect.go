package egress

import (
	"errors"
	"fmt"
	"net/http"
)

// ErrRedirect says that a redirect leads where we do not go.
var ErrRedirect = errors.New("redirect is not followed")

// maxRedirects of one request.
const maxRedirects = 5

// CheckRedirect is for [http.Client]: it refuses a redirect from HTTPS to anything else, and the sixth in a row. The
// addresses that redirects lead to are checked by the transport, like any other.
func CheckRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("%w: there are more than %d", ErrRedirect, maxRedirects)
	case req.URL.Scheme != "https" && req.URL.Scheme != via[0].URL.Scheme:
		return fmt.Errorf("%w: it leads from %s to %s", ErrRedirect, via[0].URL.Scheme, req.URL.Scheme)
	}
	return nil
}
