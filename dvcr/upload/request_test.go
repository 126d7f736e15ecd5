package upload

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseRange(t *testing.T) {
	cases := map[string]struct {
		span         string
		length       int64
		first, total int64
		bad          bool
	}{
		"whole":            {"bytes 0-9/10", 10, 0, 10, false},
		"rest":             {"bytes 4-9/10", 6, 4, 10, false},
		"length not known": {"bytes 4-9/10", -1, 4, 10, false},
		"part":             {"bytes 4-5/10", 2, 4, 10, false},
		"other unit":       {"items 0-9/10", 10, 0, 0, true},
		"no total":         {"bytes 0-9/*", 10, 0, 0, true},
		"no range":         {"bytes */10", 10, 0, 0, true},
		"backwards":        {"bytes 9-0/10", -1, 0, 0, true},
		"behind the end":   {"bytes 0-10/10", -1, 0, 0, true},
		"negative":         {"bytes -1-9/10", -1, 0, 0, true},
		"signed":           {"bytes +1-9/10", -1, 0, 0, true},
		"too large":        {"bytes 0-9/9223372036854775808", -1, 0, 0, true},
		"other length":     {"bytes 0-9/10", 5, 0, 0, true},
		"empty":            {"", 5, 0, 0, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			first, total, err := parseRange(c.span, c.length)
			var r *refusal
			if c.bad != errors.As(err, &r) || first != c.first || total != c.total {
				t.Errorf("read as %d of %d (%v)", first, total, err)
			}
		})
	}
}

func FuzzParseRange(f *testing.F) {
	f.Add("bytes 0-9/10", int64(10))
	f.Add("bytes */10", int64(-1))
	f.Fuzz(func(t *testing.T, span string, length int64) {
		first, total, err := parseRange(span, length)
		if err == nil && (first < 0 || total <= first || length >= 0 && first+length > total) {
			t.Errorf("%q of %d bytes is taken for %d of %d", span, length, first, total)
		}
	})
}

// FuzzUpload sends any request to an open slot: it is answered, and what arrives is a beginning of what was sent.
func FuzzUpload(f *testing.F) {
	f.Add("PUT", "", "", []byte("disk"))
	f.Add("POST", "multipart/form-data; boundary=b", "", []byte("--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\nx\r\n--b--\r\n"))
	f.Add("PUT", "", "bytes 0-3/8", []byte("disk"))
	f.Add("HEAD", "", "", []byte(nil))
	f.Fuzz(func(t *testing.T, method, kind, span string, body []byte) {
		s, err := NewServer(Options{Key: make([]byte, 32), Settle: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		slot := s.Open("one", 1<<20)
		ctx, cancel := context.WithCancel(context.Background())
		got := make(chan []byte, 1)
		go func() {
			b, err := slot.Next(ctx, 0)
			if err != nil {
				got <- nil
				return
			}
			content, _ := io.ReadAll(b)
			b.Close()
			got <- content
		}()
		r := httptest.NewRequest(http.MethodPut, s.URLs("one").External, bytes.NewReader(body))
		r.Method = method
		r.Header.Set("Content-Type", kind)
		if span != "" {
			r.Header.Set("Content-Range", span)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		cancel()
		if content := <-got; !bytes.Contains(body, content) {
			t.Errorf("%q arrived of %q", content, body)
		}
		if w.Code < 200 || w.Code > 599 {
			t.Errorf("answered with %d", w.Code)
		}
	})
}

func TestPaths(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	key, err := LoadKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadKey(path)
	if err != nil || !bytes.Equal(key, again) || len(key) != keyLength {
		t.Errorf("the key is %d bytes, then another (%v)", len(key), err)
	}
	if _, err := NewServer(Options{Key: key[:31]}); !errors.Is(err, ErrWeakKey) {
		t.Errorf("a short key is taken (%v)", err)
	}
	s, err := NewServer(Options{Key: key, External: "https://a", InCluster: "http://b"})
	if err != nil {
		t.Fatal(err)
	}
	one, two := s.URLs("one"), s.URLs("two")
	if one == two || !strings.HasPrefix(one.External, "https://a/upload/") || len(one.External) != len("https://a/upload/")+32 {
		t.Errorf("paths are %v and %v", one, two)
	}
	slot := s.Open("one", 0)
	for target, want := range map[string]int{one.External: 200, two.External: 404, "https://a/upload/": 404, "https://a/": 404, one.External + "x": 404} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
		if w.Code != want {
			t.Errorf("%s is answered with %d, want %d", target, w.Code, want)
		}
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodDelete, one.External, nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE is answered with %d", w.Code)
	}
	slot.Close(nil)
	if _, err := slot.Next(t.Context(), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed slot says %v", err)
	}
}

// TestTooManyAtOnce fills the server.
func TestTooManyAtOnce(t *testing.T) {
	s, err := NewServer(Options{Key: make([]byte, 32), AtOnce: 1})
	if err != nil {
		t.Fatal(err)
	}
	slot := s.Open("one", 0)
	defer slot.Close(nil)
	s.atOnce <- struct{}{}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPut, s.URLs("one").External, strings.NewReader("x")))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("answered with %d, %v", w.Code, w.Header())
	}
}
