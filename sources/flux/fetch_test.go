package flux

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"slipway.dev/slipway/internal/egress"
)

// packed is a gzipped tar as Flux writes it.
func packed(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, h := range headers {
		content := strings.Repeat("x", int(h.Size))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFetch(t *testing.T) {
	good := packed(t, tar.Header{Name: "dir/", Typeflag: tar.TypeDir, Mode: 0o755}, tar.Header{Name: "dir/a.yaml", Size: 3, Mode: 0o644}, tar.Header{Name: "disk.qcow2", Size: 3, Mode: 0o644})
	file := func(content []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) }
	}
	to := func(address string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, address, http.StatusFound) }
	}
	single := func(h tar.Header) []byte { return packed(t, h) }
	tests := map[string]struct {
		serve  http.HandlerFunc
		of     []byte // what the digest is of; the good archive when nil
		change func(*Archive)
		policy egress.Policy
		kind   error
		says   string
	}{
		"good":                   {serve: file(good)},
		"good, with its size":    {serve: file(good), change: func(a *Archive) { a.Size = int64(len(good)) }},
		"other content":          {serve: file(packed(t)), kind: ErrDigest, says: "do not have the digest"},
		"half of it":             {serve: file(good[:len(good)/2]), kind: ErrDigest, says: "do not have the digest"},
		"more than the limit":    {serve: file(make([]byte, 5000)), kind: ErrRefused, says: "more than 4096 bytes"},
		"said to be too large":   {serve: file(good), change: func(a *Archive) { a.Size = 4097 }, kind: ErrRefused, says: "4097 bytes"},
		"no archive":             {serve: file([]byte("hello")), of: []byte("hello"), kind: ErrRefused, says: "no tar archive"},
		"not there":              {serve: http.NotFound, kind: ErrUnreachable, says: "status 404"},
		"another digest":         {serve: file(good), change: func(a *Archive) { a.Digest = "sha512:" + strings.Repeat("0", 128) }, kind: ErrRefused, says: "--artifact-digest-algo=sha256"},
		"no digest":              {serve: file(good), change: func(a *Archive) { a.Digest = "" }, kind: ErrRefused, says: "no sha256 digest"},
		"a file":                 {serve: file(good), change: func(a *Archive) { a.URL = "file:///etc/passwd" }, kind: ErrRefused, says: "no http or https URL"},
		"a path":                 {serve: file(good), change: func(a *Archive) { a.URL = "/etc/passwd" }, kind: ErrRefused, says: "no http or https URL"},
		"credentials":            {serve: file(good), change: func(a *Archive) { a.URL = strings.Replace(a.URL, "://", "://me:hunter2@", 1) }, kind: ErrRefused, says: "credentials"},
		"a redirect to metadata": {serve: to("http://169.254.169.254/latest/meta-data/"), kind: ErrForbidden, says: "--allow-network"},
		"a redirect to a file":   {serve: to("file:///etc/passwd"), kind: ErrForbidden, says: "leads from http to file"},
		"redirects without end":  {serve: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, kind: ErrForbidden, says: "more than 5"},
		"loopback by default":    {serve: file(good), policy: egress.Policy{}, kind: ErrForbidden, says: "--allow-network"},
		"a path out of the tree": {of: single(tar.Header{Name: "../a.yaml", Size: 3}), kind: ErrRefused, says: "../a.yaml"},
		"an absolute path":       {of: single(tar.Header{Name: "/etc/passwd", Size: 3}), kind: ErrRefused, says: "/etc/passwd"},
		"a hard link":            {of: single(tar.Header{Name: "a", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}), kind: ErrRefused, says: "hard link"},
		"a device":               {of: single(tar.Header{Name: "a", Typeflag: tar.TypeChar}), kind: ErrRefused, says: "neither a file"},
		"a compression bomb":     {of: single(tar.Header{Name: "a", Size: 31 << 20}), kind: ErrRefused, says: "compression bomb"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			content, policy := good, egress.Policy{Allow: egress.Loopback}
			if test.of != nil {
				content = test.of
			}
			if test.serve == nil {
				test.serve = file(content)
			}
			if name == "loopback by default" {
				policy = test.policy
			}
			server := httptest.NewServer(test.serve)
			defer server.Close()
			a := Archive{URL: server.URL + "/gitrepository/team/app/1.tar.gz", Digest: digest.FromBytes(content).String()}
			if test.change != nil {
				test.change(&a)
			}
			c := NewClient(policy, WithTempDir(t.TempDir()))
			c.most = 4096
			if strings.Contains(name, "bomb") {
				c.most = maxArchive
			}
			files, err := c.Fetch(t.Context(), a)
			if test.kind == nil {
				if err != nil {
					t.Fatal(err)
				}
				defer files.Close()
				names, err := fs.Glob(files, "*")
				got, readErr := fs.ReadFile(files, "dir/a.yaml")
				if err != nil || readErr != nil || string(got) != "xxx" || len(names) != 1 {
					t.Errorf("%q with %q, %v, %v; want dir alone: disk images stay out", names, got, err, readErr)
				}
				return
			}
			if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("Fetch() = %v; want %v with %q", err, test.kind, test.says)
			}
		})
	}
}
