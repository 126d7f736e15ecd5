package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
)

// image is a disk with a boot sector.
func image() []byte {
	out := bytes.Repeat([]byte("disk"), 1<<18)
	out[510], out[511] = 0x55, 0xaa
	for i := 446; i < 510; i += 16 {
		out[i] = 0
	}
	return out
}

func dvcr(t *testing.T) *registry.Server {
	t.Helper()
	s, err := registry.NewServer(registry.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// order writes an order to a file.
func order(t *testing.T, s *registry.Server, source importer.Source) string {
	t.Helper()
	c := s.Credentials()
	b, err := json.Marshal(importer.Order{
		Job:      importer.Job{ID: "u1", Source: source, Destination: "vi/team/debian:u1"},
		Registry: s.Addr(), Username: c.Username, Password: c.Password, Allow: egress.Loopback, Owner: "u1",
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "order.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs the command and returns its report.
func run(ctx context.Context, t *testing.T, args ...string) (importer.Report, error) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "termination-log")
	root := newRoot(&bytes.Buffer{})
	root.SetArgs(append([]string{"import", "--dir", t.TempDir(), "--termination-log", log}, args...))
	err := root.ExecuteContext(ctx)
	text, readErr := os.ReadFile(log)
	if readErr != nil {
		return importer.Report{}, err
	}
	report, decodeErr := importer.DecodeReport(text)
	if decodeErr != nil {
		t.Fatal(decodeErr)
	}
	return report, err
}

func TestImport(t *testing.T) {
	raw := image()
	volume := t.TempDir()
	if err := os.WriteFile(filepath.Join(volume, "disk.img"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/disk.img" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(raw)
	}))
	t.Cleanup(web.Close)
	http := func(path string) importer.Source {
		return importer.Source{HTTP: &importer.HTTPSource{URL: web.URL + path}}
	}
	claim := importer.Source{Volume: &importer.VolumeSource{Namespace: "team", Claim: "root"}}
	cases := map[string]struct {
		source importer.Source
		args   []string
		want   error
	}{
		"web server":                   {source: http("/disk.img")},
		"not there":                    {source: http("/none"), want: importer.ErrNotFound},
		"volume":                       {source: claim, args: []string{"--volume", volume}},
		"volume that is a file":        {source: claim, args: []string{"--volume", filepath.Join(volume, "disk.img")}},
		"volume without a mount":       {source: claim, want: importer.ErrInvalidSource},
		"upload, which needs a server": {source: importer.Source{Upload: &importer.UploadSource{}}, want: importer.ErrUnsupported},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := dvcr(t)
			args := append(c.args, "--order", order(t, s, c.source), "--metrics-address", "127.0.0.1:0")
			report, err := run(t.Context(), t, args...)
			if !errors.Is(err, c.want) || !errors.Is(report.State().Err, c.want) {
				t.Fatalf("ends with %v and reports %+v, want %v", err, report, c.want)
			}
			if c.want != nil {
				return
			}
			repo, err := s.Client().Repository("vi/team/debian")
			if err != nil {
				t.Fatal(err)
			}
			info, err := disk.Inspect(t.Context(), repo, "u1")
			if err != nil || info.Digest != report.Result.Digest || report.Result.VirtualSize != int64(len(raw)) {
				t.Errorf("DVCR holds %+v (%v), the report says %+v", info, err, report.Result)
			}
		})
	}
}

// TestProgress reads the metrics while the source stands still, then ends the process.
func TestProgress(t *testing.T) {
	raw := image()
	asked := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2097152")
		_, _ = w.Write(raw)
		http.NewResponseController(w).Flush()
		close(asked)
		<-r.Context().Done()
	}))
	t.Cleanup(web.Close)
	ctx, cancel := context.WithCancel(t.Context())
	o := importOptions{order: order(t, dvcr(t), importer.Source{HTTP: &importer.HTTPSource{URL: web.URL}}), dir: t.TempDir()}
	read, err := importer.ReadOrder(o.order)
	if err != nil {
		t.Fatal(err)
	}
	runner, err := newRunner(read, o)
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close()
	handler := progress(ctx, read, runner)
	ended := make(chan error)
	go func() {
		_, err := wait(ctx, runner, read.Job)
		ended <- err
	}()
	<-asked
	for {
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if strings.Contains(answer.Body.String(), `registry_total_bytes{ownerUID="u1"} 2.097152e+06`) {
			break
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, errInterrupted) {
		t.Errorf("ends with %v", err)
	}
}

func TestBadOrder(t *testing.T) {
	if report, err := run(t.Context(), t, "--order", "/nowhere"); err == nil || report.Result != nil {
		t.Errorf("ends with %v, %+v", err, report)
	}
}
