package intake_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/reconcilers/image/intake"
)

// TestDVCRAwayInMidImport takes the registry away while an image comes in, and
// brings it back: the import ends well with nobody doing anything.
func TestDVCRAwayInMidImport(t *testing.T) {
	dir := t.TempDir()
	dvcr := serveRegistry(t, dir)
	client := dvcr.Client()
	halfway, goOn := make(chan struct{}), make(chan struct{})
	runner := importer.NewRunner(client, importer.Options{Dir: t.TempDir(), Egress: egress.Policy{Allow: egress.Loopback}})
	t.Cleanup(runner.Close)
	clock := testclock.NewFakeClock(start)
	desk := intake.NewDesk(runner, clock)
	r := request(serveHalf(t, halfway, goOn))

	desk.Ensure(t.Context(), r)
	<-halfway
	if err := dvcr.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	failed := awaitPhase(t, desk, runner, r, importer.Failed)
	if !errors.Is(failed.LastError, importer.ErrRegistry) || !strings.Contains(intake.Describe(failed), "DVCR") {
		t.Errorf("the import says %q, want it to name DVCR", intake.Describe(failed))
	}

	back := serveRegistry(t, dir)
	if back.Addr() != client.Addr() {
		t.Fatalf("the registry came back at %s, not at %s", back.Addr(), client.Addr())
	}
	clock.Step(failed.RetryAfter)
	ended := awaitPhase(t, desk, runner, r, importer.Succeeded)
	if ended.Result == nil || ended.Result.VirtualSize != size {
		t.Errorf("the import brought %+v", ended.Result)
	}
	if there, err := intake.NewShelf(client).Has(t.Context(), r.Job.Destination); err != nil || !there {
		t.Errorf("the image is in DVCR: %t, %v", there, err)
	}
}

const size = 8 << 20

func serveRegistry(t *testing.T, dir string) *registry.Server {
	t.Helper()
	server, err := registry.NewServer(registry.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close(t.Context()) })
	return server
}

// serveHalf serves a raw image, and stands still in its middle until it may go
// on.
func serveHalf(t *testing.T, halfway chan<- struct{}, goOn <-chan struct{}) string {
	t.Helper()
	content := make([]byte, size)
	seed := rand.New(rand.NewPCG(1, 2))
	for i := 512; i < size; i++ {
		content[i] = byte(seed.Uint32())
	}
	copy(content[446:], []byte{0x80, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0xff, 0x3f, 0, 0})
	content[510], content[511] = 0x55, 0xaa
	first := true
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || !first {
			http.ServeContent(w, r, "disk.raw", time.Time{}, bytes.NewReader(content))
			return
		}
		first = false
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = io.Copy(w, bytes.NewReader(content[:size/2]))
		if flusher, ok := w.(http.Flusher); ok {
			flusher.Flush()
		}
		close(halfway)
		<-goOn
		_, _ = io.Copy(w, bytes.NewReader(content[size/2:]))
	}))
	t.Cleanup(files.Close)
	return files.URL + "/disk.raw"
}

// awaitPhase follows an import by its events.
func awaitPhase(t *testing.T, desk *intake.Desk, runner *importer.Runner, r intake.Request, phase importer.Phase) intake.Transfer {
	t.Helper()
	for {
		transfer := desk.Ensure(t.Context(), r)
		if transfer.Phase == phase {
			return transfer
		}
		if transfer.Phase == importer.Failed {
			t.Fatalf("the import failed: %v", transfer.LastError)
		}
		select {
		case <-runner.Events():
		case <-time.After(2 * time.Minute):
			t.Fatalf("the import stays in phase %s, want %s", transfer.Phase, phase)
		}
	}
}
