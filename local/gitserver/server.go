package gitserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Options say how to serve.
type Options struct {
	// Addr is a loopback address with a port; empty is 127.0.0.1 with any free port.
	Addr string
	// Login is asked of every client; nil lets in whoever reaches the address, which is everybody on this machine.
	Login *url.Userinfo
	// OnPush is called with the name of a repository after one of its branches changed. Calls come one at a time for
	// each repository and must not block for long.
	OnPush func(repository string)
	// Log gets what git says on its standard error; nil drops it.
	Log io.Writer
}

// Server serves repositories. Add them before or after Start.
type Server struct {
	options  Options
	git      string
	listener net.Listener
	http     *http.Server

	mu           sync.Mutex
	repositories map[string]*repository
	closed       bool
}

var validName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$`)

// New finds git and takes the address, so that URL is known before Start.
func New(o Options) (*Server, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return nil, fmt.Errorf("find git: %w; install it with the package manager", err)
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if err := checkLoopback(o.Addr); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen for Git clients: %w", err)
	}
	s := &Server{options: o, git: git, listener: listener, repositories: map[string]*repository{}}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	return s, nil
}

func checkLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("parse address %q: %w", addr, err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("listen on %s: only loopback addresses such as 127.0.0.1 are served", addr)
	}
	return nil
}

// Start serves until the context ends or Close is called, and returns at once.
func (s *Server) Start(ctx context.Context) error {
	context.AfterFunc(ctx, func() { _ = s.Close() })
	go func() { _ = s.http.Serve(s.listener) }()
	return ctx.Err() //nolint:wrapcheck // the caller's own context
}

// URL returns the address of a repository, without the log-in.
func (s *Server) URL(name string) string { return s.address(name, nil) }

// CloneURL returns the address of a repository with the log-in in it, as git clone takes it.
func (s *Server) CloneURL(name string) string { return s.address(name, s.options.Login) }

func (s *Server) address(name string, login *url.Userinfo) string {
	u := url.URL{Scheme: "http", User: login, Host: s.listener.Addr().String(), Path: "/" + name + ".git"}
	return u.String()
}

// Close stops serving and watching. Requests that run are cut off.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	problems := []error{s.http.Close(), s.listener.Close()}
	for _, r := range s.repositories {
		problems = append(problems, r.stop())
	}
	for i, err := range problems {
		if errors.Is(err, net.ErrClosed) {
			problems[i] = nil
		}
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("stop Git server: %w", err)
	}
	return nil
}

// AddBare serves a bare repository as /<name>.git. Whoever may clone it may push to it, too.
func (s *Server) AddBare(name, dir string) error {
	return s.add(name, &repository{dir: dir, seen: map[string]string{}})
}

// AddWorkTree serves the repository of a work tree as /<name>.git and watches it for commits. A push to the branch
// that is checked out updates the files too; git refuses it when the work tree has changes.
func (s *Server) AddWorkTree(name, dir string) error {
	out, err := exec.Command(s.git, "-C", dir, "rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir").Output()
	if err != nil {
		return fmt.Errorf("find the Git repository of %s: %w; run git init and commit something there", dir, err)
	}
	dirs := strings.Fields(strings.ReplaceAll(string(out), " ", "\x00"))
	if len(dirs) != 2 {
		return fmt.Errorf("find the Git repository of %s: git answered %q", dir, out)
	}
	for i := range dirs {
		dirs[i] = strings.ReplaceAll(dirs[i], "\x00", " ")
	}
	r := &repository{dir: dirs[0], common: dirs[1], seen: map[string]string{}}
	if err := s.add(name, r); err != nil {
		return err
	}
	return r.watch(func() { s.notify(name, r) })
}

func (s *Server) add(name string, r *repository) error {
	if !validName.MatchString(name) || strings.HasSuffix(name, ".git") {
		return fmt.Errorf("serve repository %q: the name must be letters, digits, '.', '_' and '-'", name)
	}
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return fmt.Errorf("serve %s: %w", r.dir, err)
	}
	r.dir = dir
	if err := r.remember(); err != nil {
		return fmt.Errorf("serve %s: %w", dir, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, taken := s.repositories[name]; taken {
		return fmt.Errorf("serve %s: the name %q is taken", dir, name)
	}
	s.repositories[name] = r
	return nil
}

// notify calls OnPush when a branch changed since the last time.
func (s *Server) notify(name string, r *repository) {
	r.notify.Lock()
	defer r.notify.Unlock()
	if changed, err := r.changed(); err != nil || !changed {
		return
	}
	if s.options.OnPush != nil {
		s.options.OnPush(name)
	}
}
