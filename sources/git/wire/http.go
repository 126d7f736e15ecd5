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
	client  http.RoundTripper
	base    *url.URL
	service string
	version int
	body    io.ReadCloser
}

// open sends the first request, the only one that may be redirected.
func (w *web) open(ctx context.Context) (*reader, error) {
	u := *w.base
	u.Path = strings.TrimSuffix(u.Path, "/") + "/info/refs"
	query := u.Query()
	query.Set("service", w.service)
	u.RawQuery = query.Encode()
	res, err := w.follow(ctx, &u)
	if err != nil {
		return nil, err
	}
	if err := w.moved(res.Request.URL); err != nil {
		return nil, err
	}
	r := newReader(res.Body)
	return r, w.preamble(r)
}

func (w *web) follow(ctx context.Context, u *url.URL) (*http.Response, error) {
	for range maxRedirects + 1 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, fmt.Errorf("make request: %w", err)
		}
		res, err := w.do(req)
		if err != nil {
			return nil, err
		}
		switch res.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return res, check(res, "application/x-"+w.service+"-advertisement")
		}
		if u, err = target(u, res.Header.Get("Location")); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: more than %d in a row", ErrRedirect, maxRedirects)
}

// target is where a redirect leads: never from https to http, and never to a URL with user information. What the server
// wrote is not repeated: it may be what it was sent.
func target(from *url.URL, location string) (*url.URL, error) {
	to, err := from.Parse(location)
	switch {
	case err != nil || location == "" || to.Host == "":
		return nil, fmt.Errorf("%w: to what is no URL", ErrRedirect)
	case to.Scheme != "https" && to.Scheme != "http":
		return nil, fmt.Errorf("%w: to another protocol than https and http", ErrRedirect)
	case from.Scheme == "https" && to.Scheme != "https":
		return nil, fmt.Errorf("%w: from https to http", ErrRedirect)
	case to.User != nil:
		return nil, fmt.Errorf("%w: to a URL with credentials in it", ErrRedirect)
	}
	return to, nil
}

// moved takes over where a redirect led to.
func (w *web) moved(u *url.URL) error {
	path, found := strings.CutSuffix(u.Path, "/info/refs")
	if !found {
		return fmt.Errorf("%w: to what is no Git repository", ErrRedirect)
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
	res, err := w.do(req)
	if err != nil {
		return nil, err
	}
	return newReader(res.Body), check(res, "application/x-"+w.service+"-result")
}

func (w *web) do(req *http.Request) (*http.Response, error) {
	w.close()
	req.Header.Set("User-Agent", userAgent)
	if w.version == 2 {
		req.Header.Set("Git-Protocol", "version=2")
	}
	res, err := w.client.RoundTrip(req)
	if err != nil {
		return nil, &url.Error{Op: req.Method, URL: req.URL.Host, Err: err}
	}
	w.body = res.Body
	return res, nil
}

// check refuses an answer that is not of a Git server.
func check(res *http.Response, want string) error {
	if err := status(res); err != nil {
		return err
	}
	if got := res.Header.Get("Content-Type"); got != want {
		return fmt.Errorf("%w: it is %q; is the URL that of a repository?", ErrProtocol, printable(got))
	}
	return nil
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
	const enough = 16
	if w.body != nil {
		_, _ = io.CopyN(io.Discard, w.body, enough) // the end is usually near; read up to it, the connection can be used again
		_ = w.body.Close()
		w.body = nil
	}
}
