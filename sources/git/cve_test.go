package git_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zlib"

	"slipway.dev/slipway/sources/git"
)

// refusesTree builds a repository of a hostile server and expects that its files are refused.
func refusesTree(t *testing.T, build func(h *hostile), o git.Options) {
	t.Helper()
	h := &hostile{}
	build(h)
	if err := fetchAll(t, h.start(t), o); !errors.Is(err, git.ErrRefused) {
		t.Errorf("Fetch() = %v, want ErrRefused", err)
	}
}

// TestCVE_2026_71556_WorktreeSymlink: a symbolic link, then files through it. Nothing is ever checked out, and a tree that
// has both is refused.
func TestCVE_2026_71556_WorktreeSymlink(t *testing.T) {
	outside := t.TempDir()
	refusesTree(t, func(h *hostile) {
		b := h.add("blob", []byte(outside))
		h.commit(h.tree("120000 link "+b, "40000 link "+h.tree("100644 file "+b)))
	}, git.Options{})
	if left, _ := os.ReadDir(outside); len(left) != 0 {
		t.Errorf("the link was followed: %v", left)
	}
}

// TestCVE_2026_71557_ReferenceName: names of references that climb out of a directory.
func TestCVE_2026_71557_ReferenceName(t *testing.T) {
	for _, name := range []string{"refs/heads/../../../x", "../x", "refs//x", "refs/x.lock", "refs/.x", "-x", "refs/a b", "refs/a\x00b", "refs/a\nb", "refs/x/"} {
		for _, ref := range []git.Ref{{Name: name}, {Branch: name}, {Tag: name}} {
			if _, err := newClient().Resolve(t.Context(), git.Remote{URL: "http://127.0.0.1:1/x"}, ref); !errors.Is(err, git.ErrRefused) {
				t.Errorf("Resolve(%+v) = %v, want ErrRefused", ref, err)
			}
		}
	}
	// A server that lists one: it is a key of a map, and nothing is written by that name.
	h := &hostile{}
	h.commit(h.tree("100644 f " + h.add("blob", []byte("x"))))
	h.refs = func(w io.Writer) {
		_, _ = io.WriteString(w, pkt(h.head+" refs/heads/../../../../escaped\n")+pkt(h.head+" HEAD symref-target:refs/heads/../../../../escaped\n")+"0000")
	}
	dir := t.TempDir()
	client := newClient(git.WithTempDir(filepath.Join(dir, "a", "b")))
	revision, err := client.Resolve(t.Context(), h.start(t), git.Ref{})
	if err != nil {
		t.Fatal(err)
	}
	if files, err := client.Fetch(t.Context(), h.start(t), revision, git.Options{}); err == nil {
		_ = files.(io.Closer).Close()
	}
	for _, name := range []string{"escaped", "a/escaped"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was written", name)
		}
	}
}

// TestCVE_2025_21613_ArgumentInjection: no URL becomes an argument of a program: there is none.
func TestCVE_2025_21613_ArgumentInjection(t *testing.T) {
	for _, url := range []string{"file:///etc", "ext::sh -c id", "--upload-pack=touch x", "ssh://-oProxyCommand=id/x", "ssh://git@host/x\n", "/tmp/x", "git@host:x", "fd::7", "https://", "https:x"} {
		_, err := newClient().Resolve(t.Context(), git.Remote{URL: url}, git.Ref{})
		if !errors.Is(err, git.ErrRefused) && !errors.Is(err, git.ErrAuth) {
			t.Errorf("Resolve(%q) = %v, want ErrRefused", url, err)
		}
	}
}

// TestCVE_2026_45570_QuotesInAPath: a path over SSH is one word to the shell at the other end, whatever quotes it holds.
func TestCVE_2026_45570_QuotesInAPath(t *testing.T) {
	s := newServer(t)
	shell := newSSHServer(t, s.bare, "")
	auth := git.Auth{Identity: shell.identity, KnownHosts: []byte(shell.knownHosts)}
	for _, breakout := range []string{"x';touch%20MARKER;'", "x'%20--upload-pack='touch%20MARKER", "'$(touch%20MARKER)'", "x%5C';touch%20MARKER;'%5C"} {
		marker := filepath.Join(t.TempDir(), "marker")
		path := "/" + strings.ReplaceAll(breakout, "MARKER", marker)
		_, _ = newClient().Resolve(t.Context(), git.Remote{URL: "ssh://git@" + shell.address + path, Auth: auth}, git.Ref{})
		word, found := strings.CutPrefix(shell.last(), "git-upload-pack ")
		out, err := exec.CommandContext(t.Context(), "sh", "-c", "set -- "+word+`; printf '%s %s' "$#" "$1"`).Output()
		if want, _ := url.PathUnescape(path); !found || err != nil || string(out) != "1 "+want {
			t.Errorf("a shell takes %q for %q, %v; want the one word %q", shell.last(), out, err, want)
		}
		if _, err := os.Stat(marker); err == nil {
			t.Errorf("%s was run", path)
		}
	}
}

// TestCVE_2025_21614_Exhaustion and the older CVE-2023-49568: answers that would fill the memory. TestHostileConversations
// has more of them.
func TestCVE_2025_21614_Exhaustion(t *testing.T) {
	h := &hostile{}
	h.commit(h.tree("100644 f " + h.add("blob", make([]byte, 4<<20))))
	limits := limited(func(l *git.Limits) { l.Inflated = 1 << 20 })
	if err := fetchAll(t, h.start(t), git.Options{}, git.WithLimits(limits)); !errors.Is(err, git.ErrRefused) {
		t.Errorf("a pack that inflates a thousandfold: %v, want ErrRefused", err)
	}
}

// TestCVE_2023_49569_PathTraversal: files that would be written outside of the directory.
func TestCVE_2023_49569_PathTraversal(t *testing.T) {
	for _, name := range []string{"../x", "..", "a/../../x", "/x", `..\x`} {
		refusesTree(t, func(h *hostile) { h.commit(h.tree("100644 " + name + " " + h.add("blob", []byte("x")))) }, git.Options{})
	}
}

// TestCVE_2026_41506_RedirectLeaksCredentials: a redirect to another host, or another port, gets nothing of what the first
// was told, and the requests after it neither.
func TestCVE_2026_41506_RedirectLeaksCredentials(t *testing.T) {
	s := newServer(t)
	var mu sync.Mutex
	var leaked []string
	thief := s.guarded(func(r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, header := range []string{"Authorization", "Cookie", "Referer", "Proxy-Authorization"} {
			if r.Header.Get(header) != "" {
				leaked = append(leaked, header)
			}
		}
		return true
	})
	thief.Start()
	defer thief.Close()
	asked := false
	home := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _, asked = r.BasicAuth()
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "hunter2"})
		http.Redirect(w, r, thief.URL+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	defer home.Close()
	remote := git.Remote{URL: home.URL + "/demo.git", Auth: git.Auth{Username: "me", Password: "hunter2"}}
	if err := fetchAll(t, remote, git.Options{}); err != nil {
		t.Fatalf("the redirect is not followed: %v", err)
	}
	if !asked || len(leaked) != 0 {
		t.Errorf("the first host was told: %t; the other one got %v", asked, leaked)
	}
	// By another name the same machine is another host.
	leaked = nil
	remote.URL = strings.Replace(home.URL, "127.0.0.1", "localhost", 1) + "/demo.git"
	if err := fetchAll(t, remote, git.Options{}); err != nil || len(leaked) != 0 {
		t.Errorf("%v, leaked %v", err, leaked)
	}
}

// TestCVE_2026_25934_PackChecksum, with CVE-2026-33762 and CVE-2026-34165: packs whose index or checksum is not what it
// says. There is no index to trust; the pack's own is made here.
func TestCVE_2026_25934_PackChecksum(t *testing.T) {
	h := &hostile{}
	h.commit(h.tree("100644 f " + h.add("blob", []byte("x"))))
	whole := h.packed()
	for at := range whole {
		bad := append([]byte(nil), whole...)
		bad[at] ^= 0x10
		h.pack = func(w io.Writer) { band(w, bad); _, _ = io.WriteString(w, "0000") }
		if err := fetchAll(t, h.start(t), git.Options{}); err == nil {
			t.Fatalf("a pack whose byte %d is wrong is accepted", at)
		}
	}
}

// TestCVE_2026_45571_GitDirectory: files for the .git directory of the repository, or of a submodule, under each name that
// some file system takes for it, and a submodule that stands there.
func TestCVE_2026_45571_GitDirectory(t *testing.T) {
	for _, dir := range []string{".git", ".GIT", "git~1", ".git ", ".git.", ".git::$INDEX_ALLOCATION", ".g\u200cit", ".."} {
		hook := func(h *hostile) string {
			return "40000 " + dir + " " + h.tree("100755 post-checkout "+h.add("blob", []byte("#!/bin/sh\n")))
		}
		modules := func(h *hostile, path string) string {
			return "100644 .gitmodules " + h.add("blob", []byte("[submodule \"m\"]\npath = "+path+"\nurl = ./\n"))
		}
		ways := map[string]func(h *hostile){
			"in the repository": func(h *hostile) { h.commit(h.tree(hook(h))) },
			"in a submodule": func(h *hostile) {
				h.commit(h.tree(hook(h)))
				h.commit(h.tree(modules(h, "m"), "160000 m "+h.head))
			},
			"as a submodule": func(h *hostile) {
				h.commit(h.tree("100644 f " + h.add("blob", []byte("x"))))
				h.commit(h.tree(modules(h, dir), "160000 "+dir+" "+h.head))
			},
		}
		for name, build := range ways {
			t.Run(fmt.Sprintf("%q %s", dir, name), func(t *testing.T) { refusesTree(t, build, git.Options{Submodules: true}) })
		}
	}
}

// TestGHSA_w5pp_99ch_qj29_MalformedObjects: objects on which a parser panicked, or took all memory. TestHostilePacks has
// more forms of differences.
func TestGHSA_w5pp_99ch_qj29_MalformedObjects(t *testing.T) {
	delta := func(head []byte, instructions ...byte) []byte {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		_, _ = z.Write(instructions)
		_ = z.Close()
		return append(head, b.Bytes()...)
	}
	base, _ := hex.DecodeString((&hostile{}).add("blob", []byte("x")))
	objects := map[string][]byte{
		"a size of an exabyte":         append([]byte{0xb0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x08}, delta(nil, 'x')...),
		"a size without an end":        bytes.Repeat([]byte{0xff}, 30),
		"a difference to nothing":      delta(append([]byte{0x74}, make([]byte, 20)...), 5, 5, 0x90, 5),
		"a difference to itself":       delta([]byte{0x64, 0}, 5, 5, 0x90, 5),
		"a difference beyond its base": delta(append([]byte{0x76}, base...), 1, 0x80, 0x80, 0x80, 0x08, 0x80),
		"a stream that is no stream":   {0x31, 'x', 'x'},
		"no stream at all":             {0x31},
	}
	for name, object := range objects {
		t.Run(name, func(t *testing.T) {
			refusesTree(t, func(h *hostile) {
				h.commit(h.tree("100644 f " + h.add("blob", []byte("x"))))
				h.objects = append(h.objects, object)
			}, git.Options{})
		})
	}
	blob := strings.Repeat("b", 20)
	for name, whole := range map[string]string{"tree": "100644 f\x00" + blob, "commit": "tree " + someHash} {
		for size := range len(whole) {
			if name == "tree" && size == 0 {
				continue // a directory without files
			}
			t.Run(fmt.Sprintf("%d bytes of a %s", size, name), func(t *testing.T) {
				refusesTree(t, func(h *hostile) {
					if cut := h.add(name, []byte(whole[:size])); name == "tree" {
						h.commit(cut)
					} else {
						h.head = cut
					}
				}, git.Options{})
			})
		}
	}
}

// TestCVE_2026_47680_SparsePathTraversal: directories of a sparse checkout that lead out of the tree.
func TestCVE_2026_47680_SparsePathTraversal(t *testing.T) {
	s := newServer(t)
	for _, dir := range []string{"..", "../x", "a/../../x", "a\x00b", "../../etc"} {
		_, err := newClient().Fetch(t.Context(), git.Remote{URL: s.url}, git.Revision{Ref: "main", Commit: s.head()}, git.Options{Sparse: []string{dir}})
		if !errors.Is(err, git.ErrRefused) {
			t.Errorf("sparse %q: %v, want ErrRefused", dir, err)
		}
	}
	// A link is no way out either: the directory that it names is not looked into.
	h := &hostile{}
	h.commit(h.tree("120000 link " + h.add("blob", []byte("/etc"))))
	if err := fetchAll(t, h.start(t), git.Options{Sparse: []string{"link"}}); err != nil {
		t.Errorf("a sparse checkout of a link: %v", err)
	}
}

// TestCVE_2025_23390_HostKey: a host is never trusted unseen. TestSSHCredentials has the ways in which it is not known.
func TestCVE_2025_23390_HostKey(t *testing.T) {
	s := newServer(t)
	shell, other := newSSHServer(t, s.bare, ""), newSSHServer(t, s.bare, "")
	for name, known := range map[string]string{"nothing": "", "another host": other.knownHosts, "a comment": "# " + shell.knownHosts} {
		auth := git.Auth{Identity: shell.identity, KnownHosts: []byte(known + "\n")}
		_, err := newClient().Resolve(t.Context(), git.Remote{URL: "ssh://git@" + shell.address + "/x", Auth: auth}, git.Ref{})
		if !errors.Is(err, git.ErrAuth) {
			t.Errorf("%s: %v, want ErrAuth", name, err)
		}
	}
	if shell.last() != "" {
		t.Error("something was asked of a host that is not known")
	}
}

// TestCVE_2026_44935_ServerSideRequest: URLs that lead to the machine itself or to a cloud's metadata. TestEgress has the
// ways around: names, proxies, redirects.
func TestCVE_2026_44935_ServerSideRequest(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "169.254.169.254", "100.100.100.200", "[fe80::1]", "0.0.0.0", "[::ffff:169.254.169.254]"} {
		for _, scheme := range []string{"http", "https"} {
			if _, err := git.NewClient().Resolve(t.Context(), git.Remote{URL: scheme + "://" + host + "/x"}, git.Ref{}); !errors.Is(err, git.ErrRefused) {
				t.Errorf("%s://%s: %v, want ErrRefused", scheme, host, err)
			}
		}
	}
}

// TestCVE_2024_31216_CredentialsInErrors: a server that repeats what it was sent, in each way it can.
func TestCVE_2024_31216_CredentialsInErrors(t *testing.T) {
	const secret = "hunter2/+ü"
	echo := func(r *http.Request) string {
		user, password, _ := r.BasicAuth()
		return user + " " + password + " " + r.Header.Get("Authorization") + " https://" + user + ":" + password + "@host/x?sig=" + password
	}
	ways := map[string]http.HandlerFunc{
		"status": func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(r), 500) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://me:"+secret+"@127.0.0.1:1/")
			w.WriteHeader(302)
		},
		"type": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Type", echo(r)) },
		"protocol": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = io.WriteString(w, pkt("ERR "+echo(r)))
		},
		"line": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = io.WriteString(w, pkt(echo(r)+"\n"))
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewServer(way)
			defer web.Close()
			for _, auth := range []git.Auth{{Username: "me", Password: secret}, {BearerToken: secret}} {
				_, err := newClient().Resolve(t.Context(), git.Remote{URL: web.URL + "/x", Auth: auth}, git.Ref{})
				if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "aHVudGVyMi") || strings.Contains(err.Error(), "bWU6aHVudGVyMi") {
					t.Errorf("the error shows a credential: %v", err)
				}
			}
		})
	}
}
