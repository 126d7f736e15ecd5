package registry_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/registry/remote/errcode"

	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/dvcr/registry/s3/s3test"
)

func start(t *testing.T, c registry.Config) *registry.Server {
	t.Helper()
	s, err := registry.NewServer(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *registry.Server) {
	t.Helper()
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// put stores an artifact of one blob.
func put(t *testing.T, c *registry.Client, repository, tag, blob string) {
	t.Helper()
	repo, err := c.Repository(repository)
	if err != nil {
		t.Fatal(err)
	}
	desc, err := oras.PushBytes(t.Context(), repo, "text/plain", []byte(blob))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := oras.PackManifest(t.Context(), repo, oras.PackManifestVersion1_1, "text/plain",
		oras.PackManifestOptions{Layers: []ocispec.Descriptor{desc}})
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), manifest, tag); err != nil {
		t.Fatal(err)
	}
}

// get reads it back.
func get(ctx context.Context, c *registry.Client, repository, tag string) (string, error) {
	repo, err := c.Repository(repository)
	if err != nil {
		return "", err
	}
	manifest, err := repo.Resolve(ctx, tag)
	if err != nil {
		return "", err
	}
	successors, err := content.Successors(ctx, repo, manifest)
	if err != nil {
		return "", err
	}
	b, err := content.FetchAll(ctx, repo, successors[len(successors)-1])
	return string(b), err
}

func TestServerKeepsWhatItHoldsAcrossRestarts(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		dir := t.TempDir()
		first := start(t, registry.Config{Storage: storage, Dir: dir})
		put(t, first.Client(), "vi/team/debian", "v1", "bits")
		addr, credentials := first.Addr(), first.Credentials()
		stop(t, first)

		second := start(t, registry.Config{Storage: storage, Dir: dir})
		if second.Addr() != addr {
			t.Errorf("restarted on %s, was on %s", second.Addr(), addr)
		}
		if diff := cmp.Diff(credentials, second.Credentials()); diff != "" {
			t.Errorf("credentials changed across a restart:\n%s", diff)
		}
		got, err := get(t.Context(), second.Client(), "vi/team/debian", "v1")
		if err != nil || got != "bits" {
			t.Errorf("read %q, %v after a restart", got, err)
		}
	})
}

func TestServerTakesAnotherPortWhenItsOwnIsTaken(t *testing.T) {
	dir := t.TempDir()
	first := start(t, registry.Config{Dir: dir})
	addr := first.Addr()
	squatter := start(t, registry.Config{Dir: t.TempDir()})
	stop(t, first)
	if err := os.WriteFile(filepath.Join(dir, "address"), []byte(squatter.Addr()), 0o600); err != nil {
		t.Fatal(err)
	}
	second := start(t, registry.Config{Dir: dir})
	if second.Addr() == squatter.Addr() || second.Addr() == "" {
		t.Errorf("started on %q; %s was taken, %s was its own", second.Addr(), squatter.Addr(), addr)
	}
}

func TestServerAuthenticates(t *testing.T) {
	s := start(t, registry.Config{Dir: t.TempDir(), Users: map[string]string{"node": "secret"}})
	good := s.Credentials()
	put(t, s.Client(), "a/b", "v1", "bits")
	cases := map[string]struct {
		credentials registry.Credentials
		want        int // 0: granted
	}{
		"generated user": {credentials: good},
		"further user":   {credentials: registry.Credentials{Username: "node", Password: "secret"}},
		"anonymous":      {want: http.StatusUnauthorized},
		"wrong password": {credentials: registry.Credentials{Username: good.Username, Password: "guess"}, want: http.StatusUnauthorized},
		"wrong user":     {credentials: registry.Credentials{Username: "nobody", Password: good.Password}, want: http.StatusUnauthorized},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := get(t.Context(), registry.NewClient(s.Addr(), c.credentials), "a/b", "v1")
			var answer *errcode.ErrorResponse
			switch {
			case c.want == 0 && (err != nil || got != "bits"):
				t.Errorf("read %q, %v", got, err)
			case c.want == http.StatusUnauthorized && err == nil:
				t.Errorf("read %q without authentication", got)
			case c.want != 0 && errors.As(err, &answer) && answer.StatusCode != c.want:
				t.Errorf("answered %d, want %d", answer.StatusCode, c.want)
			}
		})
	}
}

func TestHealthNeedsNoCredentials(t *testing.T) {
	s := start(t, registry.Config{Dir: t.TempDir()})
	resp, err := http.Get("http://" + s.Addr() + registry.HealthPath)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("health answers %s", resp.Status)
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "dvcr")
	start(t, registry.Config{Dir: dir})
	want := map[string]os.FileMode{".": 0o700, "key": 0o600, "credentials.json": 0o600}
	got := map[string]os.FileMode{}
	for name := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = info.Mode().Perm()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modes (-want +got):\n%s", diff)
	}
}

func TestNewServerRefuses(t *testing.T) {
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "credentials.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		config registry.Config
		want   string
	}{
		"torn credentials":        {registry.Config{Dir: broken}, "delete the file"},
		"user with a colon":       {registry.Config{Dir: t.TempDir(), Users: map[string]string{"a:b": "c"}}, "colon"},
		"user of the server":      {registry.Config{Dir: t.TempDir(), Users: map[string]string{"slipway": "c"}}, "taken"},
		"directory under a file ": {registry.Config{Dir: filepath.Join(broken, "credentials.json", "x")}, "create registry directory"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := registry.NewServer(c.config)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("NewServer returned %v, want something about %q", err, c.want)
			}
		})
	}
}

// TestStartDropsUnfinishedUploads leaves an upload open, as a killed client or server does.
func TestStartDropsUnfinishedUploads(t *testing.T) {
	dir := t.TempDir()
	s := start(t, registry.Config{Dir: dir})
	c := s.Credentials()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.Addr()+"/v2/a/b/blobs/uploads/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(c.Username, c.Password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	uploads := filepath.Join(dir, "registry/docker/registry/v2/repositories/a/b/_uploads")
	if n := entries(t, uploads); n != 1 {
		t.Fatalf("%d uploads are open, want 1", n)
	}
	stop(t, s)
	start(t, registry.Config{Dir: dir})
	if n := entries(t, uploads); n != 0 {
		t.Errorf("%d uploads are left after a restart", n)
	}
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return len(list)
}

func TestRepositoryNames(t *testing.T) {
	c := registry.NewClient("registry.example.com", registry.Credentials{})
	cases := map[string]bool{
		"vi/team/debian": true, "cvi/debian-12": true, "": false, "Upper": false, "a//b": false, "../x": false,
	}
	for name, valid := range cases {
		if _, err := c.Repository(name); (err == nil) != valid {
			t.Errorf("repository %q: %v", name, err)
		}
	}
}

func TestPlainHTTPOnlyOnLoopback(t *testing.T) {
	cases := map[string]bool{
		"127.0.0.1:5000": true, "127.9.9.9:1": true, "[::1]:5000": true, "localhost:5000": true,
		"registry.example.com": false, "10.0.0.1:5000": false, "localhost.example.com:5000": false,
	}
	for addr, plain := range cases {
		repo, err := registry.NewClient(addr, registry.Credentials{}).Repository("a")
		if err != nil {
			t.Fatal(err)
		}
		if repo.PlainHTTP != plain {
			t.Errorf("%s: plain HTTP is %t, want %t", addr, repo.PlainHTTP, plain)
		}
	}
}

func TestBlobsCanBeReadInParts(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		s := start(t, registry.Config{Storage: storage, Dir: t.TempDir()})
		repo, err := s.Client().Repository("a/b")
		if err != nil {
			t.Fatal(err)
		}
		desc, err := oras.PushBytes(t.Context(), repo, "text/plain", []byte("0123456789"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := repo.Fetch(t.Context(), desc)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		seeker, ok := body.(io.ReadSeeker)
		if !ok {
			t.Fatal("the server does not offer ranges")
		}
		if _, err := seeker.Seek(6, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if err != nil || string(got) != "6789" {
			t.Errorf("read %q, %v from offset 6", got, err)
		}
	})
}
