package git

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage"
	"github.com/go-git/go-git/v5/storage/memory"
)

// DefaultMaxPack is the size of the largest pack that Fetch accepts, in bytes.
const DefaultMaxPack = 1 << 30

// Client talks to Git servers. It holds no connection and no state, and is safe for concurrent use.
type Client struct {
	temp    string
	maxPack int64
}

// Option changes how a client works.
type Option func(*Client)

// WithTempDir puts packs into a directory of the caller's instead of the system's temporary one. What an earlier
// process left there is removed by NewClient, so it must belong to one process.
func WithTempDir(dir string) Option { return func(c *Client) { c.temp = dir } }

// WithMaxPack replaces DefaultMaxPack.
func WithMaxPack(bytes int64) Option { return func(c *Client) { c.maxPack = bytes } }

const packPrefix = "pack-"

// NewClient returns a client.
func NewClient(options ...Option) *Client {
	c := &Client{maxPack: DefaultMaxPack}
	for _, o := range options {
		o(c)
	}
	if c.temp != "" {
		c.sweep()
	}
	return c
}

// sweep removes the packs of a process that was killed. What cannot be removed is only a waste of space.
func (c *Client) sweep() {
	left, _ := filepath.Glob(filepath.Join(c.temp, packPrefix+"*"))
	for _, dir := range left {
		_ = os.RemoveAll(dir)
	}
}

// Resolve asks which commit a reference means. It transfers no objects. A pinned commit is taken as it is, without
// asking; whether it exists turns out in Fetch.
func (c *Client) Resolve(ctx context.Context, remote Remote, ref Ref) (Revision, error) {
	const op = "resolve"
	if ref.Commit != "" {
		commit := strings.ToLower(ref.Commit)
		if !fullSHA1.MatchString(commit) {
			return Revision{}, remote.errorf(op, ErrRefused, "commit %q is not a full SHA-1 of 40 hexadecimal digits", ref.Commit)
		}
		return Revision{Ref: ref.Branch, Commit: commit}, nil
	}
	if ref.Name != "" && ref.Name != "HEAD" && plumbing.ReferenceName(ref.Name).Validate() != nil {
		return Revision{}, remote.errorf(op, ErrRefused, "%q is not a reference name; write it in full, as in refs/pull/1/head", ref.Name)
	}
	refs, err := c.list(ctx, remote, op)
	if err != nil {
		return Revision{}, err
	}
	revision, err := refs.choose(ref)
	if err != nil {
		return Revision{}, remote.errorf(op, ErrNotFound, "%s", err)
	}
	return revision, nil
}

func (c *Client) list(ctx context.Context, remote Remote, op string) (advertised, error) {
	s, err := remote.open(op, memory.NewStorage())
	if err != nil {
		return nil, err
	}
	var refs []*plumbing.Reference
	err = await(ctx, remote, func(ctx context.Context) (err error) {
		refs, err = s.remote.ListContext(ctx, &git.ListOptions{
			Auth: s.auth, CABundle: remote.Auth.CA, ClientCert: remote.Auth.Cert, ClientKey: remote.Auth.Key,
			ProxyOptions: remote.proxy(), PeelingOption: git.AppendPeeled,
		})
		return err //nolint:wrapcheck // classified below
	})
	if err != nil {
		return nil, remote.fail(op, s.explain(err))
	}
	a := make(advertised, len(refs))
	for _, r := range refs {
		a[r.Name()] = r
	}
	return a, nil
}

// FetchInto brings one refspec into a storage, without history when depth is 1 and with all of it when depth is 0.
// Nothing new is no error.
func (c *Client) FetchInto(ctx context.Context, remote Remote, into storage.Storer, spec config.RefSpec, depth int) error {
	_, err := c.fetchInto(ctx, remote, into, spec, depth)
	return err
}

// fetchInto also returns a channel that closes when the storage is no longer used, which may be after the timeout.
func (c *Client) fetchInto(ctx context.Context, remote Remote, into storage.Storer, spec config.RefSpec, depth int) (<-chan struct{}, error) {
	const op = "fetch"
	over := make(chan struct{})
	s, err := remote.open(op, into)
	if err != nil {
		close(over)
		return over, err
	}
	err = await(ctx, remote, func(ctx context.Context) error {
		defer close(over)
		return s.remote.FetchContext(ctx, &git.FetchOptions{
			RefSpecs: []config.RefSpec{spec}, Depth: depth, Tags: git.NoTags, Force: true,
			Auth: s.auth, CABundle: remote.Auth.CA, ClientCert: remote.Auth.Cert, ClientKey: remote.Auth.Key,
			ProxyOptions: remote.proxy(),
		})
	})
	var none git.NoMatchingRefSpecError
	switch {
	case errors.Is(err, git.NoErrAlreadyUpToDate):
		return over, nil
	case errors.As(err, &none):
		return over, remote.errorf(op, ErrNotFound, "the repository has no %s", spec.Src())
	}
	return over, remote.fail(op, s.explain(err))
}

// Push sends one refspec from a storage. A reference of the remote that is not an ancestor of ours is ErrMoved.
func (c *Client) Push(ctx context.Context, remote Remote, from storage.Storer, spec config.RefSpec) error {
	const op = "push"
	s, err := remote.open(op, from)
	if err != nil {
		return err
	}
	err = await(ctx, remote, func(ctx context.Context) error {
		return s.remote.PushContext(ctx, &git.PushOptions{
			RefSpecs: []config.RefSpec{spec},
			Auth:     s.auth, CABundle: remote.Auth.CA, ClientCert: remote.Auth.Cert, ClientKey: remote.Auth.Key,
			ProxyOptions: remote.proxy(),
		})
	})
	switch {
	case errors.Is(err, git.NoErrAlreadyUpToDate):
		return nil
	case errors.Is(err, git.ErrNonFastForwardUpdate):
		return remote.errorf(op, ErrMoved, "somebody else changed %s", spec.Dst(""))
	}
	return remote.fail(op, s.explain(err))
}

// session is what one conversation needs.
type session struct {
	remote *git.Remote
	auth   transport.AuthMethod
}

func (r Remote) open(op string, s storage.Storer) (*session, error) {
	u, err := r.check(op)
	if err != nil {
		return nil, err
	}
	if problem := r.Auth.problem(u.Scheme); problem != "" {
		return nil, r.errorf(op, ErrAuth, "%s", problem)
	}
	auth, err := r.Auth.method(u)
	if err != nil {
		return nil, r.fail(op, err)
	}
	return &session{
		remote: git.NewRemote(s, &config.RemoteConfig{Name: "origin", URLs: []string{r.URL}}),
		auth:   auth,
	}, nil
}

func (s *session) explain(err error) error {
	if a, ssh := s.auth.(*sshAuth); ssh && err != nil {
		return a.explain(err)
	}
	return err
}

// await runs one conversation within the remote's timeout. The SSH transport does not heed a context while it dials,
// hence the goroutine: it ends on its own when the dial does.
func await(ctx context.Context, remote Remote, talk func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, remote.timeout())
	done := make(chan error, 1)
	go func() {
		defer cancel()
		done <- talk(ctx)
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done: // both at once: the result counts
		return err
	default:
		cancel()
		return ctx.Err() //nolint:wrapcheck // classified by the caller
	}
}
