package flux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/opencontainers/go-digest"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/internal/scrub"
	"slipway.dev/slipway/sources/archive"
	"slipway.dev/slipway/sources/fault"
)

var (
	// ErrRefused says that we do not take it, and will not later: a protocol, a size, a kind of digest, or content that may
	// not stand in a tree.
	ErrRefused = errors.New("refused")
	// ErrForbidden says that the URL leads to an address that is not allowed.
	ErrForbidden = errors.New("refused address")
	// ErrDigest says that the server sent other content than the digest says.
	ErrDigest = errors.New("digest mismatch")
	// ErrUnreachable says that the server could not be reached, or did not answer with an archive.
	ErrUnreachable = errors.New("server is unreachable")
)

const (
	// maxArchive is the size of the largest archive that is taken, in bytes.
	maxArchive = 256 << 20
	// timeout of one download.
	timeout = time.Minute
)

// Archive is what a source serves.
type Archive struct {
	URL string
	// Digest of the archive: sha256:<hex>.
	Digest string
	// Size in bytes; zero when the source does not tell.
	Size int64
}

// Client fetches archives. It is safe for concurrent use.
type Client struct {
	http *http.Client
	temp string
	most int64
}

// Option changes how a client works.
type Option func(*Client)

// WithTempDir puts downloads into a directory of the caller's instead of the system's temporary one.
func WithTempDir(dir string) Option { return func(c *Client) { c.temp = dir } }

// NewClient returns a client that connects only where the policy allows.
func NewClient(policy egress.Policy, options ...Option) *Client {
	transport := policy.Transport(nil, http.ProxyFromEnvironment)
	transport.MaxResponseHeaderBytes = 64 << 10
	c := &Client{http: &http.Client{Transport: transport, CheckRedirect: egress.CheckRedirect, Timeout: timeout}, most: maxArchive}
	for _, o := range options {
		o(c)
	}
	return c
}

// Fetch downloads an archive, checks its digest, and only then unpacks it.
func (c *Client) Fetch(ctx context.Context, a Archive) (*archive.Tree, error) {
	if err := c.check(a); err != nil {
		return nil, err
	}
	spool, err := os.CreateTemp(c.temp, "archive-")
	if err != nil {
		return nil, fmt.Errorf("make a temporary file: %w", err)
	}
	defer spool.Close()
	if err := os.Remove(spool.Name()); err != nil {
		return nil, fmt.Errorf("unlink the temporary file: %w", err)
	}
	if err := c.download(ctx, a, spool); err != nil {
		return nil, err
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("rewind the temporary file: %w", err)
	}
	if !archive.Is(spool) {
		return nil, a.errorf(ErrRefused, "it is no tar archive")
	}
	files, err := archive.Unpack(ctx, spool, archive.Options{TempDir: c.temp})
	if errors.Is(err, archive.ErrRefused) {
		return nil, a.errorf(ErrRefused, "%s", err)
	}
	return files, err
}

// check applies the policy for URLs, digests and sizes.
func (c *Client) check(a Archive) error {
	u, err := url.Parse(a.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return a.errorf(ErrRefused, "the address of the archive is no http or https URL")
	case u.User != nil:
		return a.errorf(ErrRefused, "the address of the archive has credentials in it")
	case digest.Digest(a.Digest).Validate() != nil || digest.Digest(a.Digest).Algorithm() != digest.SHA256:
		return a.errorf(ErrRefused, "the digest %q is no sha256 digest; have the source's controller run with --artifact-digest-algo=sha256", a.Digest)
	case a.Size > c.most:
		return a.errorf(ErrRefused, "it has %d bytes, the limit is %d; %s", a.Size, c.most, tooLarge)
	}
	return nil
}

const tooLarge = "leave files out with spec.ignore of the source: disk images belong in a VirtualImage"

func (c *Client) download(ctx context.Context, a Archive, out io.Writer) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL, http.NoBody)
	if err != nil {
		return a.errorf(ErrRefused, "%s", err)
	}
	request.Header.Set("User-Agent", "slipway")
	// The digest is that of the file as it lies there.
	request.Header.Set("Accept-Encoding", "identity")
	response, err := c.http.Do(request)
	if err != nil {
		return a.unreachable(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return a.errorf(ErrUnreachable, "status %d", response.StatusCode)
	}
	verifier := digest.Digest(a.Digest).Verifier()
	n, err := io.Copy(io.MultiWriter(out, verifier), io.LimitReader(response.Body, c.most+1))
	switch {
	case err != nil:
		return a.unreachable(err)
	case n > c.most:
		return a.errorf(ErrRefused, "it has more than %d bytes; %s", c.most, tooLarge)
	case !verifier.Verified():
		return a.errorf(ErrDigest, "the %d bytes that came do not have the digest %s of the source's status", n, a.Digest)
	}
	return nil
}

func (a Archive) unreachable(err error) error {
	switch {
	case errors.Is(err, egress.ErrForbidden):
		return a.errorf(ErrForbidden, "%s; where that is meant, whoever runs the controller opens a range with --allow-network", err)
	case errors.Is(err, egress.ErrRedirect):
		return a.errorf(ErrForbidden, "%s", err)
	}
	return a.errorf(ErrUnreachable, "%s", err)
}

func (a Archive) errorf(kind error, format string, args ...any) error {
	return fault.New("fetch", a.URL, kind, fmt.Sprintf(format, args...), scrub.Scrubber{})
}
