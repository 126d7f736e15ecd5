package registry_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
	"oras.land/oras-go/v2"

	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/dvcr/registry/s3/s3test"
)

// TestTenants lets users of each kind try each thing at a real registry, by password and by token.
func TestTenants(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		for mode, tokens := range map[string]bool{"password": false, "token": true} {
			t.Run(mode, func(t *testing.T) {
				s := start(t, registry.Config{Storage: storage, Dir: t.TempDir(), Tokens: tokens})
				for _, repository := range []string{"cvi/debian", "vi/team/debian", "vi/other/debian"} {
					put(t, s.Client(), repository, "v1", "bits")
				}
				forged := s.Key().ReaderOf("team")
				forged.Username = "reader.other"
				cases := map[string]struct {
					user        registry.Credentials
					reads       []string
					readsNot    []string
					writes      []string
					writesNever []string
				}{
					"reader": {s.Reader(), []string{"cvi/debian", "vi/team/debian", "vi/other/debian"}, nil, nil, []string{"cvi/debian", "vi/team/debian"}},
					"reader of a namespace": {
						s.Key().ReaderOf("team"),
						[]string{"cvi/debian", "vi/team/debian"},
						[]string{"vi/other/debian"},
						nil,
						[]string{"cvi/debian", "vi/team/debian", "vi/other/debian"},
					},
					"writer of a namespace": {
						s.Key().WriterOf("team"),
						[]string{"cvi/debian", "vi/team/debian"},
						[]string{"vi/other/debian"},
						[]string{"vi/team/new", "vd/team/new"},
						[]string{"cvi/debian", "vi/other/debian"},
					},
					"importer of one repository": {
						s.Key().ImporterOf("vi/team/mine"),
						[]string{"cvi/debian", "vi/team/debian"},
						[]string{"vi/other/debian"},
						[]string{"vi/team/mine"},
						[]string{"cvi/debian", "vi/team/debian", "vi/team/mine2", "vi/other/debian"},
					},
					"importer of a cluster image": {
						s.Key().ImporterOf("cvi/mine"), []string{"cvi/debian"}, []string{"vi/other/debian"}, []string{"cvi/mine"}, []string{"cvi/debian", "vi/team/debian"},
					},
					"controller":                             {s.Key().Controller(), []string{"cvi/debian", "vi/other/debian"}, nil, []string{"cvi/by-controller", "vi/other/by-controller"}, nil},
					"somebody's password under another name": {forged, nil, []string{"cvi/debian", "vi/other/debian"}, nil, []string{"vi/other/debian"}},
				}
				for name, c := range cases {
					t.Run(name, func(t *testing.T) {
						client := registry.NewClient(s.Addr(), c.user)
						for _, repository := range c.reads {
							if _, err := get(t.Context(), client, repository, "v1"); err != nil {
								t.Errorf("cannot read %s: %v", repository, err)
							}
						}
						for _, repository := range c.readsNot {
							if got, err := get(t.Context(), client, repository, "v1"); err == nil {
								t.Errorf("reads %q from %s", got, repository)
							}
						}
						for _, repository := range c.writes {
							put(t, client, repository, "v1", "bits of mine")
						}
						for _, repository := range c.writesNever {
							repo, err := client.Repository(repository)
							if err != nil {
								t.Fatal(err)
							}
							if _, err := oras.PushBytes(t.Context(), repo, "text/plain", []byte("not mine")); err == nil {
								t.Errorf("writes %s", repository)
							}
						}
					})
				}
			})
		}
	})
}

// TestMountNeedsTheOtherRepository links a blob across namespaces, which would be a way to read it.
func TestMountNeedsTheOtherRepository(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		s := start(t, registry.Config{Storage: storage, Dir: t.TempDir()})
		put(t, s.Client(), "vi/other/debian", "v1", "secret bits")
		other, err := s.Client().Repository("vi/other/debian")
		if err != nil {
			t.Fatal(err)
		}
		desc, err := oras.PushBytes(t.Context(), other, "text/plain", []byte("secret bits"))
		if err != nil {
			t.Fatal(err)
		}
		mine, err := registry.NewClient(s.Addr(), s.Key().WriterOf("team")).Repository("vi/team/debian")
		if err != nil {
			t.Fatal(err)
		}
		_ = mine.Mount(t.Context(), desc, "vi/other/debian", nil) // how it is refused does not matter
		if exists, _ := mine.Blobs().Exists(t.Context(), desc); exists {
			t.Error("a tenant took another's blob over")
		}
	})
}

func TestHtpasswd(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := start(t, registry.Config{Dir: t.TempDir(), Htpasswd: write("good", "# ours\nops:"+string(hash)+"\n\n")})
	put(t, s.Client(), "a/b", "v1", "bits")
	for password, ok := range map[string]bool{"secret": true, "guess": false, "": false} {
		for range 2 { // the second time is remembered
			_, err := get(t.Context(), registry.NewClient(s.Addr(), registry.Credentials{Username: "ops", Password: password}), "a/b", "v1")
			if (err == nil) != ok {
				t.Errorf("password %q: %v", password, err)
			}
		}
	}
	for name, text := range map[string]string{
		"plain": "ops:secret\n", "torn": "ops\n", "nobody": ":" + string(hash), "derived": "reader.team:" + string(hash), "ours": "slipway:" + string(hash),
	} {
		if _, err := registry.NewServer(registry.Config{Dir: t.TempDir(), Htpasswd: write(name, text)}); err == nil {
			t.Errorf("users from a file that is %s are accepted", name)
		}
	}
	if _, err := registry.NewServer(registry.Config{Dir: t.TempDir(), Htpasswd: filepath.Join(dir, "none")}); err == nil {
		t.Error("a file that is not there is accepted")
	}
}

func TestTLS(t *testing.T) {
	certified := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate, which names 127.0.0.1
	defer certified.Close()
	s := start(t, registry.Config{Dir: t.TempDir(), Tokens: true, TLS: &tls.Config{Certificates: certified.TLS.Certificates}})
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	put(t, s.Client(registry.WithRoots(roots)), "a/b", "v1", "bits")
	if _, err := get(t.Context(), s.Client(registry.WithRoots(x509.NewCertPool())), "a/b", "v1"); err == nil {
		t.Error("a client trusts a certificate that no one vouches for")
	}
	if _, err := get(t.Context(), s.Client(), "a/b", "v1"); err == nil {
		t.Error("the server speaks plain HTTP besides")
	}
}

// TestCollectIsForAdministrators asks for a collection as everybody, and expects one only for who may.
func TestCollectIsForAdministrators(t *testing.T) {
	s := start(t, registry.Config{Dir: t.TempDir()})
	put(t, s.Client(), "vi/team/debian", "v1", "bits")
	for name, user := range map[string]registry.Credentials{"reader": s.Reader(), "writer": s.Key().WriterOf("team"), "nobody": {}} {
		if report, err := registry.NewClient(s.Addr(), user).Collect(t.Context(), nil, time.Nanosecond); err == nil {
			t.Errorf("%s has garbage collected: %+v", name, report)
		}
	}
	if _, err := s.Client().Collect(t.Context(), []string{"vi/team/debian:v1"}, 0); err != nil {
		t.Error(err)
	}
	if _, err := get(t.Context(), s.Client(), "vi/team/debian", "v1"); err != nil {
		t.Error(err)
	}
}
