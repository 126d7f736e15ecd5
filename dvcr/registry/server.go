package registry

import (
	"context"
	"crypto/rand"
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
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd" // the authentication that appConfig names
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // the storage that appConfig names
	"github.com/sirupsen/logrus"
)

// DefaultAddr lets the server take the port it had the last time, or any free one, on the loopback interface.
const DefaultAddr = "127.0.0.1:0"

// HealthPath answers without authentication while the server serves.
const HealthPath = "/healthz"

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
	// Users are further users, by name, with their passwords. The generated user always exists.
	Users map[string]string
	// Log takes the registry's warnings and errors; nil drops them. The registry library logs through one logger per
	// process, so servers in one process share the last one's.
	Log io.Writer
}

// Server is a registry in this process.
type Server struct {
	config      Config
	credentials Credentials
	handler     http.Handler
	app         *handlers.App

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
	s := &Server{config: c}
	var err error
	if s.credentials, err = loadCredentials(c.Dir); err != nil {
		return nil, err
	}
	if err := writeUsers(c.Dir, s.credentials, c.Users); err != nil {
		return nil, err
	}
	setLog(logOf(c))
	purgeUploads(c.Dir)
	if s.app, err = newApp(c.Dir); err != nil {
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
func newApp(dir string) (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("set up registry in %s: %v", dir, p)
		}
	}()
	if err := registerSpaceWatch(); err != nil {
		return nil, fmt.Errorf("set up registry: %w", err)
	}
	return handlers.NewApp(context.Background(), appConfig(dir)), nil
}

func appConfig(dir string) *configuration.Configuration {
	c := &configuration.Configuration{
		Version: "0.1",
		Storage: configuration.Storage{
			"filesystem": {"rootdirectory": filepath.Join(dir, blobDir)},
			"delete":     {"enabled": true},
			"redirect":   {"disable": true},
			"maintenance": {"uploadpurging": map[any]any{
				"enabled": true, "age": "24h", "interval": "1h", "dryrun": false,
			}},
		},
		Auth: configuration.Auth{
			"htpasswd": {"realm": realm, "path": filepath.Join(dir, htpasswdFile)},
		},
		Middleware: map[string][]configuration.Middleware{
			"storage": {{Name: spaceWatch}},
		},
	}
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
	if r.URL.Path == HealthPath {
		w.WriteHeader(http.StatusOK)
		return
	}
	s.handler.ServeHTTP(w, r)
}

// Addr returns host:port once the server has started.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Credentials returns the generated user.
func (s *Server) Credentials() Credentials { return s.credentials }

// Client returns a client of this server with the generated user's credentials.
func (s *Server) Client() *Client { return NewClient(s.Addr(), s.credentials) }

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
