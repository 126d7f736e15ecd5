package registry

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the storage that appConfig names
	"github.com/opencontainers/go-digest"
	"github.com/sirupsen/logrus"
	"k8s.io/utils/clock"
)

// DefaultAddr lets the server take the port it had the last time, or any free one, on the loopback interface.
const DefaultAddr = "127.0.0.1:0"

// HealthPath answers without authentication while the server serves.
const HealthPath = "/healthz"

// storageTimeout bounds the first look at the storage.
const storageTimeout = 30 * time.Second

const (
	blobDir     = "registry"
	addressFile = "address"
	realm       = "Slipway DVCR"
)

// Config is what a server needs.
type Config struct {
	// Dir holds the blobs, the users and the generated credentials. It is created, readable by its owner only.
	Dir string
	// Addr is the address to listen on; empty means DefaultAddr. With port 0 a restarted server takes its last port again if
	// it is still free.
	Addr string
	// Key is what the server's own users follow from; nil means one that is kept in Dir.
	Key Key
	// Users are further administrators, by name, with their passwords. The generated user always exists.
	Users map[string]string
	// Htpasswd is a file with still more of them, in bcrypt. It is read once.
	Htpasswd string
	// Tokens makes clients exchange their password for a short-lived token. Those that send the password are let in all the same.
	Tokens bool
	// TLS makes the server speak HTTPS; it names the certificate.
	TLS *tls.Config
	// Storage keeps the blobs elsewhere than in Dir. One server at a time may have it: what is in use, which decides what may be
	// removed, is known to that server only.
	Storage *Storage
	// Clock tells the time; nil means the real one.
	Clock clock.PassiveClock
	// Log takes the registry's warnings and errors; nil drops them. The registry library logs through one logger per
	// process, so servers in one process share the last one's.
	Log io.Writer
}

// Storage names one of the storage drivers of the distribution library and its parameters. The program that names another one
// than "filesystem" imports it; package s3 does for buckets.
type Storage struct {
	Driver     string
	Parameters map[string]any
}

// Server is a registry in this process.
type Server struct {
	config      Config
	credentials Credentials
	guard       *guard
	shelf       *shelf
	presence    *presence
	handler     http.Handler
	app         *handlers.App

	collecting sync.Mutex

	mu       sync.Mutex
	addr     string
	http     *http.Server
	finished chan struct{}
}

// NewServer prepares the directory and the registry, and drops uploads that an earlier process did not finish.
func NewServer(c Config) (*Server, error) {
	if c.Addr == "" {
		c.Addr = DefaultAddr
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create registry directory: %w", err)
	}
	s := &Server{config: c, shelf: &shelf{}}
	var err error
	if s.credentials, err = loadCredentials(c.Dir); err != nil {
		return nil, err
	}
	if c.Clock == nil {
		c.Clock = clock.RealClock{}
	}
	all, err := newUsers(c, s.credentials)
	if err != nil {
		return nil, err
	}
	s.presence = newPresence(c.Clock)
	s.shelf.presence = s.presence
	s.guard = &guard{users: all}
	if c.Tokens {
		s.guard.tokens = &tokens{key: all.key, clock: c.Clock}
	}
	setLog(logOf(c))
	if c.Storage == nil {
		purgeUploads(c.Dir)
	}
	if s.app, err = s.newApp(); err != nil {
		return nil, err
	}
	if err := s.reachStorage(); err != nil {
		return nil, err
	}
	s.handler = reportNoSpace(s.app)
	return s, nil
}

// purgeUploads deletes partial uploads. No one can be writing them: the server that took them is gone.
func purgeUploads(dir string) {
	driver := filesystem.New(filesystem.DriverParameters{RootDirectory: filepath.Join(dir, blobDir), MaxThreads: 100})
	// Nothing to purge is reported as an error as well, and what stays costs only space until the next start.
	_, _ = storage.PurgeUploads(context.Background(), driver, time.Now(), true)
}

// newApp builds the registry; the library panics on what it takes for errors of configuration.
func (s *Server) newApp() (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("set up registry in %s: %v", s.config.Dir, p)
		}
	}()
	for _, register := range []func() error{registerSpaceWatch, registerStorage, registerAccess} {
		if err := register(); err != nil {
			return nil, fmt.Errorf("set up registry: %w", err)
		}
	}
	return handlers.NewApp(context.Background(), s.appConfig()), nil
}

// reachStorage finds out at the start, not at the first push, that the storage cannot be listed.
func (s *Server) reachStorage() error {
	ctx, cancel := context.WithTimeout(context.Background(), storageTimeout)
	defer cancel()
	if _, err := s.shelf.driver.List(ctx, "/"); err != nil && !notFound(err) {
		return fmt.Errorf("reach the registry's storage, %s: %w", s.shelf.driver.Name(), err)
	}
	return nil
}

// storage returns the driver that holds the blobs, and its parameters.
func (s *Server) storage() (string, configuration.Parameters) {
	if s.config.Storage != nil {
		return s.config.Storage.Driver, s.config.Storage.Parameters
	}
	return "filesystem", configuration.Parameters{"rootdirectory": filepath.Join(s.config.Dir, blobDir)}
}

func (s *Server) appConfig() *configuration.Configuration {
	driver, parameters := s.storage()
	c := &configuration.Configuration{
		Version: "0.1",
		Storage: configuration.Storage{
			driver:     parameters,
			"delete":   {"enabled": true},
			"redirect": {"disable": true},
			"maintenance": {"uploadpurging": map[any]any{
				"enabled": true, "age": "24h", "interval": "1h", "dryrun": false,
			}},
		},
		Auth: configuration.Auth{
			accessControl: {"controller": s.guard},
		},
		Middleware: map[string][]configuration.Middleware{
			"storage": {{Name: spaceWatch}, {Name: ourStorage, Options: configuration.Parameters{"shelf": s.shelf}}},
		},
	}
	c.Catalog.MaxEntries = 1000 // on a page
	c.HTTP.Secret = rand.Text()
	c.HTTP.RelativeURLs = true
	return c
}

// Start listens and serves in the background until Close.
func (s *Server) Start() error {
	listener, err := s.listen()
	if err != nil {
		return fmt.Errorf("start registry: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr = listener.Addr().String()
	s.finished = make(chan struct{})
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ErrorLog:          log.New(logOf(s.config), "", 0),
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	if s.config.TLS != nil {
		listener = tls.NewListener(listener, s.config.TLS)
	}
	go func(server *http.Server, finished chan struct{}) {
		defer close(finished)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logrus.Errorf("registry stopped serving: %v", err)
		}
	}(s.http, s.finished)
	// Without the file the next start only takes another port.
	_ = writeFile(filepath.Join(s.config.Dir, addressFile), []byte(s.addr))
	return nil
}

// listen takes the configured address. For port 0 it tries the last one first: other files name this registry by it.
func (s *Server) listen() (net.Listener, error) {
	host, port, err := net.SplitHostPort(s.config.Addr)
	if err != nil {
		return nil, fmt.Errorf("parse address %q: %w", s.config.Addr, err)
	}
	if port == "0" {
		if last, err := os.ReadFile(filepath.Join(s.config.Dir, addressFile)); err == nil {
			lastHost, _, err := net.SplitHostPort(strings.TrimSpace(string(last)))
			if err == nil && lastHost == host {
				if l, err := net.Listen("tcp", strings.TrimSpace(string(last))); err == nil {
					return l, nil
				}
			}
		}
	}
	l, err := net.Listen("tcp", s.config.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", s.config.Addr, err)
	}
	return l, nil
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	faces := facesPath.FindStringSubmatch(r.URL.Path)
	switch {
	case r.URL.Path == HealthPath:
		w.WriteHeader(http.StatusOK)
	case r.URL.Path == TokenPath && s.guard.tokens != nil:
		s.guard.serveToken(w, r)
	case r.URL.Path == collectPath:
		s.serveCollect(w, r)
	case faces != nil:
		s.serveFaces(w, r, faces[1], digest.Digest(faces[2]))
	default:
		if err := s.presence.noteUse(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.handler.ServeHTTP(w, r)
	}
}

// Addr returns host:port once the server has started.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Credentials returns the generated user.
func (s *Server) Credentials() Credentials { return s.credentials }

// own is how the server reaches itself: as any client would, without the network.
func (s *Server) own() *Client {
	return NewClient(loopback, s.credentials, WithTransport(handlerTransport{http.HandlerFunc(s.serve)}))
}

// Key is the secret from which the server's own users follow.
func (s *Server) Key() Key { return s.guard.users.key }

// Reader returns a user that may read every repository and write none.
func (s *Server) Reader() Credentials { return s.Key().Reader() }

// Client returns a client of this server with the generated user's credentials.
func (s *Server) Client(opts ...Option) *Client { return NewClient(s.Addr(), s.credentials, opts...) }

// Close stops listening and waits for requests under way until ctx ends, then breaks them off.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	server, finished := s.http, s.finished
	s.http = nil
	s.mu.Unlock()
	if server == nil {
		return nil
	}
	err := server.Shutdown(ctx)
	if err != nil {
		err = server.Close()
	}
	<-finished
	if appErr := s.app.Shutdown(); err == nil {
		err = appErr
	}
	if err != nil {
		return fmt.Errorf("close registry: %w", err)
	}
	return nil
}
