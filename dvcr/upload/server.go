package upload

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Prefix is where all paths begin.
const Prefix = "/upload/"

// tokenLength is how many characters of a path are secret: 128 bits in hex.
const tokenLength = 32

// Options of a Server; only Key must be set.
type Options struct {
	// Key is what paths are derived from: the same key gives the same paths, also to the next process.
	Key []byte
	// External and InCluster are the addresses of this server, such as "https://upload.example.com", as seen from outside and
	// from the cluster.
	External, InCluster string
	// AtOnce is how many uploads run side by side; 0 means 8.
	AtOnce int
	// Idle is how long nothing may arrive before a connection counts as broken; 0 means a minute.
	Idle time.Duration
	// Settle is how long an answer waits for what becomes of the image; 0 means 20 seconds.
	Settle time.Duration
	// Clock is nil for the real one.
	Clock clock.Clock
}

// URLs are where an upload is expected.
type URLs struct {
	// External is for users outside of the cluster, InCluster for those inside.
	External, InCluster string
}

// Server is an http.Handler for the uploads that are expected.
type Server struct {
	options Options
	atOnce  chan struct{}

	mu    sync.Mutex
	slots map[string]*Slot // by token
}

// ErrWeakKey says that a key is too short to keep a secret.
var ErrWeakKey = errors.New("the key for upload paths needs 32 bytes or more")

const keyLength = 32

// NewServer returns a server that expects nothing yet.
func NewServer(o Options) (*Server, error) {
	if len(o.Key) < keyLength {
		return nil, ErrWeakKey
	}
	if o.AtOnce <= 0 {
		o.AtOnce = 8
	}
	if o.Idle <= 0 {
		o.Idle = time.Minute
	}
	if o.Settle <= 0 {
		o.Settle = 20 * time.Second
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return &Server{options: o, atOnce: make(chan struct{}, o.AtOnce), slots: map[string]*Slot{}}, nil
}

// LoadKey reads the key in a file, and makes one when there is none.
func LoadKey(path string) ([]byte, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key = make([]byte, keyLength)
		if _, err = rand.Read(key); err == nil {
			err = os.WriteFile(path, key, 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("load the key for upload paths: %w", err)
	}
	return key, nil
}

// URLs returns where the upload of an ID is expected once its Slot is open.
func (s *Server) URLs(id string) URLs {
	path := Prefix + s.token(id)
	return URLs{External: s.options.External + path, InCluster: s.options.InCluster + path}
}

func (s *Server) token(id string) string {
	sum := hmac.New(sha256.New, s.options.Key)
	sum.Write([]byte(id))
	return hex.EncodeToString(sum.Sum(nil))[:tokenLength]
}

// Open expects an upload of at most limit bytes for an ID, until the Slot is closed. A Slot that is open for the same ID is
// closed first.
func (s *Server) Open(id string, limit int64) *Slot {
	token := s.token(id)
	slot := &Slot{server: s, token: token, limit: limit, total: -1, offers: make(chan offer), busy: make(chan struct{}, 1), ended: make(chan struct{})}
	s.mu.Lock()
	before := s.slots[token]
	s.slots[token] = slot
	s.mu.Unlock()
	if before != nil {
		before.end(errReplaced)
	}
	return slot
}

var errReplaced = errors.New("the upload begins anew")

// slotOf finds the open slot of a request.
func (s *Server) slotOf(r *http.Request) *Slot {
	token, ok := strings.CutPrefix(r.URL.Path, Prefix)
	if !ok || len(token) != tokenLength {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slots[token]
}

func (s *Server) drop(slot *Slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.slots[slot.token] == slot {
		delete(s.slots, slot.token)
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	slot := s.slotOf(r)
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case slot == nil:
		answer(w, http.StatusNotFound, "no upload is expected here: it has ended, has expired, or the address is wrong")
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		slot.tell(w)
	case r.Method == http.MethodPut || r.Method == http.MethodPost:
		s.receive(w, r, slot)
	default:
		w.Header().Set("Allow", "GET, HEAD, PUT, POST")
		answer(w, http.StatusMethodNotAllowed, "send the file with PUT, as \"curl -T FILE URL\" does")
	}
}

// handover is how long a request waits for the one before it, whose connection may just have broken.
const handover = time.Second

// receive takes one request's bytes, when the slot and the server have room for it.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, slot *Slot) {
	select {
	case slot.busy <- struct{}{}:
		defer func() { <-slot.busy }()
	case <-s.options.Clock.After(handover):
		w.Header().Set("Retry-After", "5")
		answer(w, http.StatusServiceUnavailable, "another upload to this address is under way")
		return
	}
	select {
	case s.atOnce <- struct{}{}:
		defer func() { <-s.atOnce }()
	default:
		w.Header().Set("Retry-After", "30")
		answer(w, http.StatusServiceUnavailable, "too many uploads are under way; try again later")
		return
	}
	slot.receive(w, r)
}

func answer(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if code >= http.StatusBadRequest {
		w.Header().Set("Connection", "close") // what is left of the body is not read
	}
	w.WriteHeader(code)
	fmt.Fprintln(w, text)
}

// NewHTTPServer returns a server with the time limits that uploads need: headers must come soon, bodies may take long.
func (s *Server) NewHTTPServer() *http.Server {
	return &http.Server{Handler: s, ReadHeaderTimeout: s.options.Idle, IdleTimeout: s.options.Idle, MaxHeaderBytes: 16 << 10}
}
