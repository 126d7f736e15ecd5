package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
)

const (
	kills = 50
	// killedSize is the length of the image that is imported: three packs and some.
	killedSize = 112 << 20
	// inFlight is how many packs an import uploads side by side, and packLimit about how large one is.
	inFlight  = 2
	packLimit = 33 << 20
)

// scale stands before a registry, counts what is uploaded to it, and kills the importer at some byte.
type scale struct {
	forward http.Handler

	mu     sync.Mutex
	left   int64 // bytes until the kill; negative: none
	kill   func()
	stored map[string]int64 // blobs that arrived, and their sizes
	again  int64            // bytes sent of blobs that had arrived
	sent   int64
}

// ServeHTTP implements http.Handler.
func (s *scale) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	blob := r.URL.Query().Get("digest")
	if r.Method != http.MethodPut || blob == "" {
		s.forward.ServeHTTP(w, r)
		return
	}
	r.Body = weighed{r.Body, s, blob}
	answer := &noted{ResponseWriter: w}
	s.forward.ServeHTTP(answer, r)
	if answer.code == http.StatusCreated {
		s.mu.Lock()
		s.stored[blob] = r.ContentLength
		s.mu.Unlock()
	}
}

type noted struct {
	http.ResponseWriter
	code int
}

func (n *noted) WriteHeader(code int) {
	n.code = code
	n.ResponseWriter.WriteHeader(code)
}

type weighed struct {
	io.ReadCloser
	scale *scale
	blob  string
}

func (w weighed) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	s := w.scale
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent += int64(n)
	if _, there := s.stored[w.blob]; there {
		s.again += int64(n)
	}
	if s.left >= 0 {
		if s.left -= int64(n); s.left < 0 {
			s.kill()
		}
	}
	return n, err //nolint:wrapcheck // as it was
}

// killFigures kills real imports, "slipway-dvcr import" as it runs in a pod, at seeded bytes of their uploads, starts each again
// and counts what is uploaded twice.
func killFigures(ctx context.Context, o options, _ imageSet) ([]figure, error) {
	dir := filepath.Join(o.dir, "kill")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program, image := filepath.Join(dir, "slipway-dvcr"), filepath.Join(dir, "image.raw")
	if err := command(ctx, "go", "build", "-o", program, "slipway.dev/slipway/cmd/slipway-dvcr"); err != nil {
		return nil, err
	}
	if err := writeNoise(image); err != nil {
		return nil, err
	}
	web := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer web.Close()
	random := rand.New(rand.NewPCG(50, 50))
	var most, done int64
	died := 0
	for n := range kills {
		v := &victim{dir: filepath.Join(dir, fmt.Sprint(n)), program: program, url: web.URL + "/image.raw"}
		twice, again, killed, err := v.measure(ctx, random.Int64N(killedSize))
		if err != nil {
			return nil, fmt.Errorf("kill %d: %w", n, err)
		}
		most, done = max(most, twice), done+again
		if killed {
			died++
		}
	}
	return []figure{
		{"imports killed in mid-upload and started again", float64(died), "", fmt.Sprint(kills)},
		{"uploaded twice after a kill, at most", float64(most) / (1 << 20), "MiB", fmt.Sprintf("≤ %d: the packs in flight", inFlight*packLimit>>20)},
		{"uploaded again although it had arrived, all kills", float64(done), "bytes", "0"},
	}, nil
}

// victim is one import.
type victim struct{ dir, program, url string }

// measure kills the import at a byte and starts it again. It returns what was sent beyond the image's blobs, and of that what
// had arrived before.
func (v *victim) measure(ctx context.Context, at int64) (twice, again int64, killed bool, err error) {
	s, err := serve(v.dir)
	if err != nil {
		return 0, 0, false, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx), os.RemoveAll(v.dir)) }()
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: s.Addr()})
	proxy.ErrorLog = log.New(io.Discard, "", 0) // it would tell of each kill
	scale := &scale{forward: proxy, left: at, stored: map[string]int64{}}
	front := httptest.NewServer(scale)
	defer front.Close()
	if err := v.order(front.Listener.Addr().String(), s.Credentials()); err != nil {
		return 0, 0, false, err
	}
	first := v.command(ctx)
	scale.kill = func() { _ = first.Process.Kill() }
	err = first.Run()
	var exit *exec.ExitError
	if killed = errors.As(err, &exit) && !exit.Exited(); err != nil && !killed {
		return 0, 0, false, fmt.Errorf("the import failed before it was killed: %w", err)
	}
	scale.mu.Lock()
	scale.left = -1
	scale.mu.Unlock()
	if out, err := v.command(ctx).CombinedOutput(); err != nil {
		return 0, 0, killed, fmt.Errorf("the second import: %w: %s", err, out)
	}
	twice = scale.sent
	for _, size := range scale.stored {
		twice -= size
	}
	return twice, scale.again, killed, nil
}

func (v *victim) command(ctx context.Context) *exec.Cmd {
	return exec.CommandContext(ctx, v.program, "import", "--order", v.dir+"/order.json", "--dir", v.dir+"/spool",
		"--metrics-address", "127.0.0.1:0", "--termination-log", v.dir+"/termination-log")
}

func (v *victim) order(address string, c registry.Credentials) error {
	text, err := json.Marshal(importer.Order{
		Job:      importer.Job{ID: "victim", Destination: "vi/bench/image:v1", Source: importer.Source{HTTP: &importer.HTTPSource{URL: v.url}}},
		Registry: address, Username: c.Username, Password: c.Password, Allow: egress.Loopback,
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(v.dir, "order.json"), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the order: %w", err)
	}
	return nil
}

// writeNoise writes an image that does not compress, behind a boot sector.
func writeNoise(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	_, _ = w.WriteString(strings.Repeat("\x00", 510) + "\x55\xaa") // Flush tells
	_, _ = io.CopyN(w, rand.NewChaCha8([32]byte{50}), killedSize-512)
	return flushed(w)
}
