package registry

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
)

// TestLogIsQuietUntilSomethingFails runs what every push does, and then breaks the storage.
func TestLogIsQuietUntilSomethingFails(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	s, err := NewServer(Config{Dir: dir, Log: &log})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	repo, err := s.Client().Repository("a/b")
	if err != nil {
		t.Fatal(err)
	}
	desc := content.NewDescriptorFromBytes("text/plain", []byte("bits"))
	if exists, err := repo.Exists(t.Context(), desc); exists || err != nil {
		t.Fatal(exists, err)
	}
	if _, err := oras.PushBytes(t.Context(), repo, "text/plain", []byte("bits")); err != nil {
		t.Fatal(err)
	}
	if resp, err := http.Get("http://" + s.Addr() + "/v2/"); err == nil {
		resp.Body.Close()
	}
	if log.Len() > 0 {
		t.Errorf("an ordinary push logs:\n%s", &log)
	}

	uploads := filepath.Join(dir, "registry/docker/registry/v2/repositories/a/b/_uploads")
	if err := os.RemoveAll(uploads); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(uploads, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := oras.PushBytes(t.Context(), repo, "text/plain", []byte("more bits")); err == nil {
		t.Fatal("pushed into broken storage")
	}
	if err := s.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "not a directory") {
		t.Errorf("broken storage logs %q", &log)
	}
}
