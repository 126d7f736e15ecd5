package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// maxRedirects is how often the first request is redirected at most.
const maxRedirects = 5

const userAgent = "git/2.0 (slipway)"

// web speaks over HTTP: a request for each thing that is said.
type web struct {
	client  *http.Client
	base    *url.URL
	service string
	version int
	body    io.Closer
}

// CheckRedirect is for http.Client: it follows a few redirects, never from https to http, never to a URL with user
// information, and never once a request carries what the server is to do.
func CheckRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return fmt.Errorf("%w: more than %d in a row", ErrRedirect, maxRedirects)
	case req.Method != http.MethodGet:
		return fmt.Errorf("%w: only the first request may be redirected", ErrRedirect)
	case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
		return fmt.Errorf("%w: from https to %s", ErrRedirect, req.URL.Scheme)
	case req.URL.Scheme != "https" && req.URL.Scheme != "http":
		return fmt.Errorf("%w: to %s", ErrRedirect, req.URL.Scheme)
	case req.URL.User != nil:
		return fmt.Errorf("%w: to a URL with credentials in it", ErrRedirect)
	}
	return nil
}

func (w *web) open(ctx context.Context) (*reader, error) {
	u := *w.base
	u.Path = strings.TrimSuffix(u.Path, "/") + "/info/refs"
	query := u.Query()
	query.Set("service", w.service)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	res, err := w.do(req, "application/x-"+w.service+"-advertisement")
	if err != nil {
		return nil, err
	}
	if err := w.moved(res.Request.URL); err != nil {
		return nil, err
	}
	r := newReader(res.Body)
	return r, w.preamble(r)
}

// moved takes over where a redirect led to.
func (w *web) moved(u *url.URL) error {
	path, found := strings.CutSuffix(u.Path, "/info/refs")
	if !found {
		return fmt.Errorf("%w: to %s, which is no Git repository", ErrRedirect, u.Path)
	}
	base := *u
	base.Path, base.RawPath, base.RawQuery = path, "", w.base.RawQuery
	w.base = &base
	return nil
}

// preamble skips the two packets that announce the service; servers that speak version 2 may leave them out.
func (w *web) preamble(r *reader) error {
	first, err := r.r.Peek(len("001e# service="))
	if err != nil {
		return cut(err)
	}
	if !bytes.HasPrefix(first[4:], []byte("# service=")) {
		return nil
	}
	if _, _, err := r.next(); err != nil {
		return err
	}
	if kind, _, err := r.next(); err != nil || kind != flush {
		return fmt.Errorf("%w: no flush after the service's name", ErrProtocol)
	}
	return nil
}

func (w *web) send(ctx context.Context, _ *reader, body io.Reader) (*reader, error) {
	u := *w.base
	u.Path = strings.TrimSuffix(u.Path, "/") + "/" + w.service
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-"+w.service+"-request")
	req.Header.Set("Accept", "application/x-"+w.service+"-result")
	res, err := w.do(req, "application/x-"+w.service+"-result")
	if err != nil {
		return nil, err
	}
	return newReader(res.Body), nil
}

func (w *web) do(req *http.Request, want string) (*http.Response, error) {
	w.close()
	req.Header.Set("User-Agent", userAgent)
	if w.version == 2 {
		req.Header.Set("Git-Protocol", "version=2")
	}
	res, err := w.client.Do(req)
	if err != nil {
		return nil, err //nolint:wrapcheck // it names the method and the URL
	}
	w.body = res.Body
	if err := status(res); err != nil {
		return nil, err
	}
	if got := res.Header.Get("Content-Type"); got != want {
		return nil, fmt.Errorf("%w: it is %q; is the URL that of a repository?", ErrProtocol, printable(got))
	}
	return res, nil
}

func status(res *http.Response) error {
	switch res.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusUnauthorized:
		return ErrUnauthorized
	case http.StatusForbidden:
		return ErrForbidden
	case http.StatusNotFound, http.StatusGone:
		return ErrNoRepository
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	return &StatusError{Code: res.StatusCode, Text: printable(string(text))}
}

func (w *web) close() {
	if w.body != nil {
		_ = w.body.Close()
		w.body = nil
	}
}
