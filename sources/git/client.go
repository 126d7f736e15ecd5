package git

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/utils/clock"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/sources/git/pack"
	"slipway.dev/slipway/sources/git/wire"
)

// Limits bound what a server may send.
type Limits struct {
	// Pack is the size of the largest pack, in bytes.
	Pack int64
	// File is the size of the largest file of a tree, in bytes.
	File int64
	// Entries is how many files and directories a tree may have, with those that are not shown.
	Entries int
	// Refs is the size of a server's list of references, in bytes.
	Refs int64
	// Objects is how many a pack may hold; Inflated is how many bytes may come out of it.
	Objects  int
	Inflated int64
}

// DefaultLimits suit a repository of manifests, even one that others keep large files in.
var DefaultLimits = Limits{
	Pack: 1 << 30, File: 32 << 20, Entries: 500_000, Refs: wire.DefaultMaxRefs,
	Objects: pack.DefaultLimits.Objects, Inflated: pack.DefaultLimits.Inflated,
}

// Client talks to Git servers. It is safe for concurrent use.
type Client struct {
	temp   string
	limits Limits
	egress egress.Policy
	clock  clock.PassiveClock
	tokens *tokens
	// shared is the transport of all remotes that need nothing of their own, so that connections are used again.
	shared *http.Transport
}

// Option changes how a client works.
type Option func(*Client)

// WithTempDir puts packs into a directory of the caller's instead of the system's temporary one. What an earlier
// process left there is removed by NewClient, so it must belong to one process.
func WithTempDir(dir string) Option { return func(c *Client) { c.temp = dir } }

// WithLimits replaces DefaultLimits.
func WithLimits(l Limits) Option { return func(c *Client) { c.limits = l } }

// WithEgress says which addresses may be connected to. Without it, loopback, link-local and metadata addresses are not.
func WithEgress(p egress.Policy) Option { return func(c *Client) { c.egress = p } }

// WithClock replaces the clock by which tokens expire.
func WithClock(p clock.PassiveClock) Option { return func(c *Client) { c.clock = p } }

const packPrefix = "pack-"

// NewClient returns a client.
func NewClient(options ...Option) *Client {
	c := &Client{limits: DefaultLimits, clock: clock.RealClock{}, tokens: newTokens()}
	for _, o := range options {
		o(c)
	}
	c.shared = c.newTransport(nil, nil)
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
		return remote.pinned(op, ref)
	}
	for _, name := range []string{ref.Name, ref.Tag, ref.Branch} {
		if wrong := problem(name); name != "" && wrong != "" {
			return Revision{}, remote.errorf(op, ErrRefused, "%q %s; write it in full, as in refs/pull/1/head", name, wrong)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, remote.timeout())
	defer cancel()
	s, err := c.open(ctx, op, remote)
	if err != nil {
		return Revision{}, err
	}
	defer s.Close()
	return s.resolve(ctx, op, ref)
}

func (r Remote) pinned(op string, ref Ref) (Revision, error) {
	if _, err := r.check(op); err != nil {
		return Revision{}, err
	}
	commit := strings.ToLower(ref.Commit)
	if !fullSHA1.MatchString(commit) {
		return Revision{}, r.errorf(op, ErrRefused, "commit %q is not a full SHA-1 of 40 hexadecimal digits", ref.Commit)
	}
	return Revision{Ref: ref.Branch, Commit: commit}, nil
}

// session is a conversation with a remote.
type session struct {
	*wire.Session
	client *Client
	remote Remote
	// explain adds what is known about the log-in to an error.
	explain func(error) error
	idle    func()
}

// Close ends the conversation.
func (s *session) Close() {
	s.Session.Close()
	s.idle()
}

func (s *session) fail(op string, err error) error { return s.remote.fail(op, s.explain(err)) }

// open begins a conversation in which objects are fetched.
func (c *Client) open(ctx context.Context, op string, remote Remote) (*session, error) {
	return c.begin(ctx, op, remote, wire.Endpoint.Open)
}

func (c *Client) begin(ctx context.Context, op string, remote Remote, open func(wire.Endpoint, context.Context) (*wire.Session, error)) (*session, error) {
	u, err := remote.check(op)
	if err != nil {
		return nil, err
	}
	if problem := remote.Auth.problem(u.Scheme); problem != "" {
		return nil, remote.errorf(op, ErrAuth, "%s", problem)
	}
	if _, problem := remote.Proxy.url(); problem != "" {
		return nil, remote.errorf(op, ErrRefused, "%s", problem)
	}
	if remote, err = c.withToken(ctx, remote); err != nil {
		return nil, remote.fail(op, err)
	}
	s := &session{client: c, remote: remote, idle: func() {}, explain: func(err error) error { return err }}
	endpoint, err := c.endpoint(s, u)
	if err == nil {
		s.Session, err = open(endpoint, ctx)
	}
	if err != nil {
		s.idle()
		return nil, s.fail(op, err)
	}
	return s, nil
}

// endpoint is how to get to a remote.
func (c *Client) endpoint(s *session, u *url.URL) (wire.Endpoint, error) {
	e := wire.Endpoint{URL: u, MaxRefs: c.limits.Refs}
	if u.Scheme == "ssh" {
		auth, err := s.remote.Auth.ssh(u)
		if err != nil {
			return e, err
		}
		s.explain = auth.explain
		e.SSH = c.sshDialer(s.remote, auth)
		return e, nil
	}
	web, err := c.web(s.remote, u, s.remote.Auth.header())
	if err != nil {
		return e, err
	}
	e.HTTP, s.idle = web, web.CloseIdleConnections
	return e, nil
}

// resolve applies a Ref to what the server has.
func (s *session) resolve(ctx context.Context, op string, ref Ref) (Revision, error) {
	refs, err := s.Refs(ctx, ref.prefixes()...)
	if err != nil {
		return Revision{}, s.fail(op, err)
	}
	revision, err := advertise(refs).choose(ref)
	if err != nil {
		return Revision{}, s.remote.errorf(op, ErrNotFound, "%s%s", err, s.suggestion(ctx, err))
	}
	return revision, nil
}

// suggestion lists what there is when something was not found. What is asked for it may fail: it is only a help.
func (s *session) suggestion(ctx context.Context, err error) string {
	if !errors.Is(err, errNoRef) {
		return ""
	}
	refs, err := s.Refs(ctx, heads)
	if err != nil {
		return ""
	}
	if len(refs) == 0 {
		return fmt.Sprintf("; %s", "the repository has no commits yet")
	}
	return advertise(refs).suggestion()
}
