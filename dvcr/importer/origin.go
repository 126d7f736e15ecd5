package importer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"slipway.dev/slipway/dvcr/upload"
	"slipway.dev/slipway/internal/egress"
)

// origin is something that can be downloaded, from any offset.
type origin interface {
	// open returns the content from offset off on, or from its beginning when the server cannot do better. version is what
	// an earlier answer called the content; an origin may use it to get the rest of that version and no other.
	open(ctx context.Context, off int64, version string) (*opened, error)
	// patience is how long nothing may arrive, and the error of one that lets more pass.
	patience(o Options) (time.Duration, error)
	// String names the origin in messages, without secrets.
	String() string
}

// errStalled ends an attempt that receives nothing for too long.
var errStalled = fmt.Errorf("%w: no data arrived in time", ErrUnreachable)

// opened is a download that has begun.
type opened struct {
	io.ReadCloser
	off     int64  // where it begins
	size    int64  // of the whole content, or -1
	version string // "" when the server has no name for it
}

// httpOrigin downloads from a web server.
type httpOrigin struct {
	client *http.Client
	url    *url.URL
}

// newHTTPOrigin checks the source's URL.
func newHTTPOrigin(s *HTTPSource, policy egress.Policy) (*httpOrigin, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%w: the URL must begin with http:// or https:// and name a host", ErrInvalidSource)
	}
	client, err := newHTTPClient(policy, s.CABundle)
	if err != nil {
		return nil, err
	}
	return &httpOrigin{client: client, url: u}, nil
}

func (o *httpOrigin) String() string { return o.url.Scheme + "://" + o.url.Host + o.url.EscapedPath() }

func (o *httpOrigin) patience(from Options) (time.Duration, error) {
	return from.StallTimeout, errStalled
}

func (o *httpOrigin) open(ctx context.Context, off int64, version string) (*opened, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidSource, err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "slipway-importer")
	if off > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", off))
		if version != "" {
			req.Header.Set("If-Range", version)
		}
	}
	resp, err := o.client.Do(req)
	if err != nil {
		return nil, requestError(err)
	}
	body, err := openBody(resp, off, version)
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return body, nil
}

// openBody reads the headers that say which bytes the body holds. A server that sends the rest, or says that there is none,
// was asked for that of one version, and need not name it again.
func openBody(resp *http.Response, off int64, version string) (*opened, error) {
	o := &opened{ReadCloser: resp.Body, size: resp.ContentLength, version: versionOf(resp.Header)}
	if resp.StatusCode == http.StatusOK {
		return o, nil
	}
	o.version = cmp.Or(o.version, version)
	switch {
	case resp.StatusCode == http.StatusPartialContent && off > 0:
		var err error
		o.off, o.size, err = parseContentRange(resp.Header.Get("Content-Range"))
		if err != nil {
			return nil, err
		}
		if o.off != off {
			return nil, fmt.Errorf("%w: asked for bytes from %d on, the server sent those from %d on", ErrUnreachable, off, o.off)
		}
		return o, nil
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && off > 0:
		// All of it is here already, or the file has become shorter; the total tells which.
		_, size, ok := strings.Cut(resp.Header.Get("Content-Range"), "*/")
		if total, err := strconv.ParseInt(size, 10, 64); ok && err == nil && total == off {
			o.off, o.size, o.ReadCloser = off, total, http.NoBody
			return o, nil
		}
		return nil, errChanged
	}
	return nil, responseError(resp)
}

// errChanged says that the content is not the one whose beginning was downloaded.
var errChanged = fmt.Errorf("%w: the image changed while it was downloaded", ErrUnreachable)

// versionOf returns a header value that If-Range accepts: a strong entity tag, or else the date of the last change.
func versionOf(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return h.Get("Last-Modified")
}

// parseContentRange reads "bytes first-last/total".
func parseContentRange(s string) (first, total int64, err error) {
	bad := fmt.Errorf("%w: the server sent Content-Range %q", ErrUnreachable, s)
	rest, ok := strings.CutPrefix(s, "bytes ")
	if !ok {
		return 0, 0, bad
	}
	span, size, ok := strings.Cut(rest, "/")
	from, to, ok2 := strings.Cut(span, "-")
	if !ok || !ok2 {
		return 0, 0, bad
	}
	first, err = strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	if err != nil || err2 != nil || first < 0 || last < first {
		return 0, 0, bad
	}
	if size == "*" {
		return first, -1, nil
	}
	total, err = strconv.ParseInt(size, 10, 64)
	if err != nil || total <= last {
		return 0, 0, bad
	}
	return first, total, nil
}

// blobOrigin downloads a layer from a registry.
type blobOrigin struct {
	from content.Fetcher
	desc ocispec.Descriptor
	name string
}

func (o *blobOrigin) String() string { return fmt.Sprintf("layer %s of %s", o.desc.Digest, o.name) }

func (o *blobOrigin) patience(from Options) (time.Duration, error) {
	return from.StallTimeout, errStalled
}

func (o *blobOrigin) open(ctx context.Context, off int64, _ string) (*opened, error) {
	body, err := o.from.Fetch(ctx, o.desc)
	if err != nil {
		return nil, requestError(err)
	}
	out := &opened{ReadCloser: body, size: o.desc.Size, version: o.desc.Digest.String()}
	if s, ok := body.(io.Seeker); ok && off > 0 {
		if _, err := s.Seek(off, io.SeekStart); err != nil {
			body.Close()
			return nil, requestError(err)
		}
		out.off = off
	}
	return out, nil
}

// uploadOrigin is what a user sends.
type uploadOrigin struct {
	slot  *upload.Slot
	phase func(Phase)
}

// uploadVersion stands for all uploads: whoever goes on with one sends the same file.
const uploadVersion = "upload"

func (o *uploadOrigin) String() string { return "the upload" }

func (o *uploadOrigin) patience(from Options) (time.Duration, error) {
	return from.UploadTimeout, fmt.Errorf("%w: %s passed without a byte", ErrUploadTimeout, from.UploadTimeout)
}

func (o *uploadOrigin) open(ctx context.Context, off int64, _ string) (*opened, error) {
	o.phase(Waiting)
	body, err := o.slot.Next(ctx, off)
	switch {
	case errors.Is(err, upload.ErrRestart):
		return nil, errChanged
	case err != nil:
		return nil, requestError(err)
	}
	o.phase(Running)
	return &opened{ReadCloser: body, off: off, size: body.Size, version: uploadVersion}, nil
}
