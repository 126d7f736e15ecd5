package oci

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"

	"slipway.dev/slipway/internal/egress"
)

// hostile is a registry that answers as each test wants. It counts requests and
// never gets more than a thousand.
type hostile struct {
	*testing.T
	*http.ServeMux
	server   *httptest.Server
	requests atomic.Int64
}

func newHostile(t *testing.T) *hostile {
	h := &hostile{T: t, ServeMux: http.NewServeMux()}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.requests.Add(1) > 1000 {
			t.Error("more than 1000 requests")
			panic(http.ErrAbortHandler)
		}
		h.ServeMux.ServeHTTP(w, r)
	}))
	t.Cleanup(h.server.Close)
	return h
}

func (h *hostile) host() string { return strings.TrimPrefix(h.server.URL, "http://") }

// repository reaches the server, and nothing else but loopback.
func (h *hostile) repository(logins ...Login) *Repository {
	h.Helper()
	c := NewClient(egress.Policy{Allow: egress.Loopback}, WithTempDir(h.TempDir()))
	r, err := c.Repository(Remote{URL: Scheme + h.host() + "/x", Insecure: true, Logins: logins, Timeout: 10 * time.Minute})
	if err != nil {
		h.Fatal(err)
	}
	return r
}

// manifest serves a manifest under its digest, and returns that.
func (h *hostile) manifest(layers ...ocispec.Descriptor) Revision {
	h.Helper()
	raw := marshal(h.T, ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: ocispec.DescriptorEmptyJSON, Layers: layers})
	return h.raw(raw)
}

func (h *hostile) raw(raw []byte) Revision {
	sum := digest.FromBytes(raw).String()
	h.HandleFunc("GET /v2/x/manifests/"+sum, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Content-Length", fmt.Sprint(len(raw)))
		_, _ = w.Write(raw)
	})
	return Revision{Digest: sum}
}

// blob describes content, and serves it as the function wants.
func (h *hostile) blob(raw []byte, serve http.HandlerFunc) ocispec.Descriptor {
	desc := content.NewDescriptorFromBytes("application/vnd.oci.image.layer.v1.tar", raw)
	h.HandleFunc("GET /v2/x/blobs/"+desc.Digest.String(), serve)
	return desc
}

func (h *hostile) refused(revision Revision, says string) {
	h.Helper()
	bundle, err := h.repository().Fetch(h.Context(), revision, Options{})
	if err == nil {
		bundle.Close()
	}
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), says) {
		h.Errorf("Fetch() = %v, want ErrRefused with %q", err, says)
	}
}

func TestLayerIsNotWhatItsDigestSays(t *testing.T) {
	good := tarOf(t, map[string]string{"a": "1"})
	other := tarOf(t, map[string]string{"a": "2"})
	tests := map[string]http.HandlerFunc{
		"other content of the same size": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(other) },
		"more than it says": func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			_, _ = w.Write(append(append([]byte{}, good...), "more"...))
		},
		"without end": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		},
	}
	for name, serve := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t)
			h.refused(h.manifest(h.blob(good, serve)), "digest")
		})
	}
}

func TestLayerThatIsCutOff(t *testing.T) {
	h := newHostile(t)
	good := tarOf(t, map[string]string{"a": "1"})
	revision := h.manifest(h.blob(good, func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		_, _ = w.Write(good[:100])
	}))
	if _, err := h.repository().Fetch(t.Context(), revision, Options{}); err == nil {
		t.Error("half a layer is taken")
	}
}

// CVE-2022-31016, CVE-2023-40584 and CVE-2024-29893 of Argo CD: what a server
// sends was read into memory without bounds.
func TestCVE202231016And202340584And202429893Sizes(t *testing.T) {
	t.Run("a layer that says it is huge", func(t *testing.T) {
		h := newHostile(t)
		desc := h.blob([]byte("x"), func(http.ResponseWriter, *http.Request) { t.Error("the layer is asked for") })
		desc.Size = 1 << 50
		h.refused(h.manifest(desc), "the limit is")
	})
	t.Run("a negative size", func(t *testing.T) {
		h := newHostile(t)
		desc := h.blob([]byte("x"), func(http.ResponseWriter, *http.Request) { t.Error("the layer is asked for") })
		desc.Size = -1
		h.refused(h.manifest(desc), "the limit is")
	})
	t.Run("a manifest without end", func(t *testing.T) {
		h := newHostile(t)
		sum := digest.FromString("x").String()
		h.HandleFunc("GET /v2/x/manifests/"+sum, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
			w.Header().Set("Docker-Content-Digest", sum)
			w.Header().Set("Content-Length", fmt.Sprint(1<<40))
			for range 16 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		})
		h.refused(Revision{Digest: sum}, "manifest")
	})
	t.Run("a manifest with many layers", func(t *testing.T) {
		h := newHostile(t)
		layers := make([]ocispec.Descriptor, maxLayers+1)
		h.refused(h.manifest(layers...), "layers")
	})
	t.Run("a manifest that is deep", func(t *testing.T) {
		h := newHostile(t)
		h.refused(h.raw([]byte(`{"annotations":`+strings.Repeat(`{"a":`, 100_000)+strings.Repeat("}", 100_000)+"}")), "not JSON")
	})
	t.Run("an index", func(t *testing.T) {
		h := newHostile(t)
		h.refused(h.raw([]byte(`{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}`)), "not an artifact with layers")
	})
	t.Run("tags without end", func(t *testing.T) {
		h := newHostile(t)
		h.HandleFunc("GET /v2/x/tags/list", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `</v2/x/tags/list?last=1>; rel="next"`)
			_, _ = io.WriteString(w, `{"tags":["1.0.0"`+strings.Repeat(`,"1.0.0"`, 9999)+"]}")
		})
		if _, err := h.repository().Resolve(t.Context(), Ref{SemVer: "1.x"}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "tags") {
			t.Errorf("Resolve() = %v, want ErrRefused", err)
		}
	})
}

func TestManifestIsNotWhatItsDigestSays(t *testing.T) {
	h := newHostile(t)
	sum := digest.FromString("asked for").String()
	h.HandleFunc("GET /v2/x/manifests/"+sum, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Docker-Content-Digest", sum)
		_, _ = io.WriteString(w, `{"layers":[]}`)
	})
	h.refused(Revision{Digest: sum}, "digest")
}

var secretLogin = Login{Username: "robot", Password: "s3cr3t-pa55"}

// other is a server on another host that notes the credentials that reach it.
type other struct {
	*httptest.Server
	hits atomic.Int64
	got  atomic.Value
}

func newOther(t *testing.T, serve http.HandlerFunc) *other {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &other{}
	o.Server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o.hits.Add(1)
		o.got.Store(r.Header.Get("Authorization") + r.URL.RawQuery)
		serve(w, r)
	})}}
	o.Start()
	t.Cleanup(o.Close)
	return o
}

func (o *other) saw(text string) bool {
	got, _ := o.got.Load().(string)
	return strings.Contains(got, text) || strings.Contains(got, base64.StdEncoding.EncodeToString([]byte(secretLogin.Username+":"+secretLogin.Password)))
}

// CVE-2026-50151, CVE-2026-48978 and GHSA-vh4v-2xq2-g5cg of oras-go: credentials
// followed a redirect, a Location and a Bearer realm to another host.
func TestCVE202650151And202648978CredentialsStayWithTheirHost(t *testing.T) {
	t.Run("a redirect is followed without them", func(t *testing.T) {
		h := newHostile(t)
		good := tarOf(t, map[string]string{"a": "1"})
		o := newOther(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(good) })
		login := secretLogin
		login.Scope = h.host()
		basic := func(serve http.HandlerFunc) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if user, _, _ := r.BasicAuth(); user != login.Username {
					w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				serve(w, r)
			}
		}
		desc := h.blob(good, basic(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, o.URL+"/blob", http.StatusTemporaryRedirect)
		}))
		bundle, err := h.repository(login).Fetch(t.Context(), h.manifest(desc), Options{})
		if err != nil {
			t.Fatal(err)
		}
		bundle.Close()
		if o.hits.Load() != 1 || o.saw(login.Password) {
			t.Errorf("%d requests to the other host, credentials among them: %v", o.hits.Load(), o.saw(login.Password))
		}
	})
	t.Run("a challenge of the other host gets none", func(t *testing.T) {
		h := newHostile(t)
		o := newOther(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
		h.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, o.URL+r.URL.Path, http.StatusTemporaryRedirect)
		})
		login := secretLogin
		login.Scope = h.host()
		_, err := h.repository(login).Resolve(t.Context(), Ref{Tag: "v1"})
		if err == nil || o.saw(login.Password) {
			t.Errorf("Resolve() = %v; credentials at the other host: %v", err, o.saw(login.Password))
		}
	})
	t.Run("a token server on an internal address is not asked", func(t *testing.T) {
		h := newHostile(t)
		o := newOther(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"token":"x"}`) })
		h.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="`+o.URL+`/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
		login := secretLogin
		login.Scope = h.host()
		if _, err := h.repository(login).Resolve(t.Context(), Ref{Tag: "v1"}); err == nil || o.hits.Load() != 0 {
			t.Errorf("Resolve() = %v after %d requests to the token server, want none", err, o.hits.Load())
		}
	})
	t.Run("an upload goes nowhere else with them", func(t *testing.T) {
		h := newHostile(t)
		o := newOther(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })
		h.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			if user, _, _ := r.BasicAuth(); user == "" {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			if r.Method == http.MethodPost {
				w.Header().Set("Location", o.URL+"/upload")
				w.WriteHeader(http.StatusAccepted)
				return
			}
			w.WriteHeader(http.StatusNotFound)
		})
		login := secretLogin
		login.Scope = h.host()
		_, _ = h.repository(login).PushBlob(t.Context(), "text/plain", []byte("x"))
		if o.saw(login.Password) {
			t.Error("the other host got the credentials")
		}
	})
}

// CVE-2026-44936 of Fleet: a tenant's URL led the controller to internal addresses.
func TestCVE202644936InternalAddresses(t *testing.T) {
	metadata := "169.254.169.254"
	t.Run("the URL itself", func(t *testing.T) {
		for _, host := range []string{metadata, "127.0.0.1:5000", "[::1]:5000", "localhost:5000", "100.100.100.200", "[::ffff:169.254.169.254]", "0.0.0.0"} {
			r, err := NewClient(egress.Policy{}).Repository(Remote{URL: Scheme + host + "/x", Insecure: true})
			if err == nil {
				_, err = r.Resolve(t.Context(), Ref{Tag: "v1"})
			}
			if !errors.Is(err, ErrRefused) {
				t.Errorf("%s: %v, want ErrRefused", host, err)
			}
		}
	})
	t.Run("a redirect", func(t *testing.T) {
		h := newHostile(t)
		h.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+metadata+"/latest/meta-data", http.StatusTemporaryRedirect)
		})
		if _, err := h.repository().Resolve(t.Context(), Ref{Tag: "v1"}); !errors.Is(err, ErrRefused) {
			t.Errorf("Resolve() = %v, want ErrRefused", err)
		}
	})
	t.Run("a token server", func(t *testing.T) {
		h := newHostile(t)
		h.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+metadata+`/token"`)
			w.WriteHeader(http.StatusUnauthorized)
		})
		if _, err := h.repository().Resolve(t.Context(), Ref{Tag: "v1"}); err == nil || !strings.Contains(err.Error(), metadata) {
			t.Errorf("Resolve() = %v, want it refused", err)
		}
	})
	t.Run("a tenant's proxy", func(t *testing.T) {
		h := newHostile(t)
		c := NewClient(egress.Policy{})
		r, err := c.Repository(Remote{URL: "oci://registry.example/x", Insecure: true, Proxy: Proxy{URL: h.server.URL}})
		if err == nil {
			_, err = r.Resolve(t.Context(), Ref{Tag: "v1"})
		}
		if !errors.Is(err, ErrRefused) || h.requests.Load() != 0 {
			t.Errorf("Resolve() = %v after %d requests, want ErrRefused after none", err, h.requests.Load())
		}
	})
}

func TestRedirectsThatNeverEnd(t *testing.T) {
	h := newHostile(t)
	h.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
	})
	if _, err := h.repository().Resolve(t.Context(), Ref{Tag: "v1"}); !errors.Is(err, ErrRefused) || h.requests.Load() > 20 {
		t.Errorf("Resolve() = %v after %d requests", err, h.requests.Load())
	}
}

func TestChallengesThatNeverEnd(t *testing.T) {
	for name, challenge := range map[string]string{"basic": `Basic realm="x"`, "bearer": `Bearer realm="%s/token"`, "nonsense": "Nonsense =,,,", "none": ""} {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t)
			h.HandleFunc("/token", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"token":"x"}`) })
			h.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("WWW-Authenticate", strings.ReplaceAll(challenge, "%s", h.server.URL))
				w.WriteHeader(http.StatusUnauthorized)
			})
			login := secretLogin
			login.Scope = h.host()
			_, err := h.repository(login).Resolve(t.Context(), Ref{Tag: "v1"})
			if !errors.Is(err, ErrAuth) || h.requests.Load() > 10 {
				t.Errorf("Resolve() = %v after %d requests, want ErrAuth after a few", err, h.requests.Load())
			}
		})
	}
}

// CVE-2024-31216 of Flux: credentials stood in logged errors. A registry that
// repeats what it was sent does not get them into ours.
func TestCVE202431216CredentialsInErrors(t *testing.T) {
	h := newHostile(t)
	login := secretLogin
	login.Scope = h.host()
	h.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, password, set := r.BasicAuth()
		if !set {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"errors":[{"code":"DENIED","message":"%s is wrong, %s"}]}`, password, r.Header.Get("Authorization"))
	})
	_, _, err := h.repository(login).Manifest(t.Context(), "v1")
	if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "is wrong") {
		t.Fatalf("Manifest() = %v, want what the registry said", err)
	}
	for _, secret := range login.secrets() {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds %q: %v", secret, err)
		}
	}
}

// A registry that answers a HEAD without a digest is asked for the manifest.
func TestHeadWithoutDigest(t *testing.T) {
	h := newHostile(t)
	raw := []byte(`{"layers":[]}`)
	h.HandleFunc("/v2/x/manifests/v1", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Content-Length", fmt.Sprint(len(raw)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(raw)
		}
	})
	got, err := h.repository().Resolve(t.Context(), Ref{Tag: "v1"})
	if want := digest.FromBytes(raw).String(); err != nil || got.Digest != want {
		t.Errorf("Resolve() = %v, %v; want %s", got, err, want)
	}
}
