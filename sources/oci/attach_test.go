package oci

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"slipway.dev/slipway/internal/egress"
)

const healthType = "application/vnd.example.health.v1+yaml"

// registries that know referrers by their API, by the tag schema, and that delete nothing.
func attachTargets(t *testing.T) map[string]*Repository {
	t.Helper()
	open := func(handler http.Handler) *Repository {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		r, err := NewClient(egress.Policy{Allow: egress.Loopback}).Repository(Remote{URL: Scheme + strings.TrimPrefix(server.URL, "http://") + "/team/vms", Insecure: true})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	silent := ggcr.Logger(log.New(io.Discard, "", 0))
	return map[string]*Repository{
		"referrers API": open(ggcr.New(silent, ggcr.WithReferrersSupport(true))),
		"tag schema":    newWorld(t).repository(),
		"no deletion": open(func() http.Handler {
			inner := ggcr.New(silent)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodDelete {
					http.Error(w, "nothing is deleted here", http.StatusMethodNotAllowed)
					return
				}
				inner.ServeHTTP(w, r)
			})
		}()),
	}
}

func TestAttachments(t *testing.T) {
	for name, r := range attachTargets(t) {
		t.Run(name, func(t *testing.T) {
			packed, err := Pack(t.Context(), sample, "", Annotations{})
			if err != nil {
				t.Fatal(err)
			}
			defer packed.Close()
			if err := r.Push(t.Context(), packed, "v1"); err != nil {
				t.Fatal(err)
			}
			texts := func() []string {
				t.Helper()
				attached, err := r.Attached(t.Context(), packed.Digest, healthType)
				if err != nil {
					t.Fatal(err)
				}
				var all []string
				for _, a := range attached {
					all = append(all, string(a.Text))
				}
				return all
			}
			if got := texts(); got != nil {
				t.Errorf("attached at first: %q", got)
			}
			attach := func(text string, at int) {
				t.Helper()
				before, err := r.Attached(t.Context(), packed.Digest, healthType)
				if err != nil {
					t.Fatal(err)
				}
				a := Attachment{Type: healthType, Text: []byte(text), Created: fmt.Sprintf("2026-05-01T12:00:%02dZ", at)}
				if err := r.Attach(t.Context(), packed.Digest, a, before); err != nil {
					t.Fatal(err)
				}
			}
			attach("one", 1)
			attach("two", 2)
			if got := texts(); len(got) == 0 || got[len(got)-1] != "two" || name != "no deletion" && len(got) != 1 {
				t.Errorf("attached: %q", got)
			}
			for i := range 20 {
				attach(fmt.Sprint("more ", i), 3+i)
			}
			got := texts()
			if len(got) > mostAttachments || got[len(got)-1] != "more 19" {
				t.Errorf("attached: %q, want at most %d and the last one last", got, mostAttachments)
			}
			if other, err := r.Attached(t.Context(), packed.Digest, "application/vnd.example.other"); err != nil || other != nil {
				t.Errorf("of another type: %v, %v", other, err)
			}
		})
	}
}

func TestAttachWithoutTheRight(t *testing.T) {
	w := newWorld(t)
	pushed := w.push(sample, "v1")
	w.remote.Logins[0].Password = "wrong"
	err := w.repository().Attach(t.Context(), pushed, Attachment{Type: healthType, Text: []byte("x")}, nil)
	if !errors.Is(err, ErrAuth) {
		t.Errorf("Attach() = %v, want ErrAuth", err)
	}
}

func TestAttachmentsThatLie(t *testing.T) {
	w := newWorld(t)
	pushed := w.push(sample, "v1")
	if err := w.repository().Attach(t.Context(), pushed, Attachment{Type: healthType, Text: []byte(strings.Repeat("x", maxAttachment+1))}, nil); err != nil {
		t.Fatal(err)
	}
	_, err := w.repository().Attached(t.Context(), pushed, healthType)
	if !errors.Is(err, ErrRefused) {
		t.Errorf("Attached() = %v, want ErrRefused", err)
	}
}
