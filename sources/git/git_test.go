package git_test

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/tree"
)

// newClient returns a client that may connect to the servers of the tests.
func newClient(options ...git.Option) *git.Client {
	return git.NewClient(append([]git.Option{git.WithEgress(egress.Policy{Allow: egress.Loopback})}, options...)...)
}

func limited(change func(*git.Limits)) git.Limits {
	l := git.DefaultLimits
	change(&l)
	return l
}

func fetch(t *testing.T, remote git.Remote, revision git.Revision, o git.Options) fs.FS {
	t.Helper()
	files, err := newClient(git.WithTempDir(t.TempDir())).Fetch(t.Context(), remote, revision, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = files.(io.Closer).Close() })
	return files
}

// list returns all files of a tree with their content.
func list(t *testing.T, files fs.FS) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		got[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestResolveAndFetchEachKindOfReference(t *testing.T) {
	s := newServer(t)
	commits := map[string]string{"main": s.head()}
	run(t, s.clone, "switch", "-c", "feature/x")
	commits["feature/x"] = s.commit(map[string]string{"vm.yaml": "feature"})
	run(t, s.clone, "tag", "-a", "v1.2.0", "-m", "annotated")
	commits["v1.2.0"] = s.head()
	tag := run(t, s.clone, "rev-parse", "refs/tags/v1.2.0")
	commits["v1.10.0"] = s.commit(map[string]string{"vm.yaml": "newer"})
	run(t, s.clone, "tag", "v1.10.0")
	run(t, s.clone, "tag", "v2.0.0-rc.1")
	run(t, s.clone, "tag", "nightly")
	commits["pull"] = s.commit(map[string]string{"vm.yaml": "pull request"})
	s.push("--tags", "HEAD:refs/pull/7/head", "+HEAD~1:refs/heads/feature/x")

	tests := map[string]struct {
		ref  git.Ref
		want git.Revision
	}{
		"HEAD of the remote": {git.Ref{}, git.Revision{Ref: "main", Commit: commits["main"]}},
		"branch":             {git.Ref{Branch: "feature/x"}, git.Revision{Ref: "feature/x", Commit: commits["v1.10.0"]}},
		"annotated tag":      {git.Ref{Tag: "v1.2.0"}, git.Revision{Ref: "v1.2.0", Commit: commits["v1.2.0"], Tag: tag}},
		"plain tag":          {git.Ref{Tag: "nightly"}, git.Revision{Ref: "nightly", Commit: commits["v1.10.0"]}},
		"range":              {git.Ref{SemVer: ">=1.0.0"}, git.Revision{Ref: "v1.10.0", Commit: commits["v1.10.0"]}},
		"range with bound":   {git.Ref{SemVer: "1.x <1.5"}, git.Revision{Ref: "v1.2.0", Commit: commits["v1.2.0"], Tag: tag}},
		"name":               {git.Ref{Name: "refs/pull/7/head"}, git.Revision{Ref: "refs/pull/7/head", Commit: commits["pull"]}},
		"commit":             {git.Ref{Commit: strings.ToUpper(commits["v1.2.0"])}, git.Revision{Commit: commits["v1.2.0"]}},
		"commit of a branch": {git.Ref{Commit: commits["v1.2.0"], Branch: "feature/x"}, git.Revision{Ref: "feature/x", Commit: commits["v1.2.0"]}},
		"name before range":  {git.Ref{Name: "refs/heads/main", SemVer: ">=1.0.0", Tag: "nightly", Branch: "feature/x"}, git.Revision{Ref: "refs/heads/main", Commit: commits["main"]}},
		"range before tag":   {git.Ref{SemVer: "<1.5", Tag: "nightly", Branch: "main"}, git.Revision{Ref: "v1.2.0", Commit: commits["v1.2.0"], Tag: tag}},
		"tag before branch":  {git.Ref{Tag: "nightly", Branch: "main"}, git.Revision{Ref: "nightly", Commit: commits["v1.10.0"]}},
	}
	remote := git.Remote{URL: s.url}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := newClient().Resolve(t.Context(), remote, test.ref)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Fatal(diff)
			}
			want := run(t, s.clone, "show", got.Commit+":vm.yaml")
			if diff := cmp.Diff(want, strings.TrimSpace(list(t, fetch(t, remote, got, git.Options{}))["vm.yaml"])); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestResolveErrors(t *testing.T) {
	s := newServer(t)
	empty := newServer(t)
	if err := os.RemoveAll(filepath.Join(empty.bare, "refs", "heads", "main")); err != nil {
		t.Fatal(err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	tests := map[string]struct {
		url   string
		ref   git.Ref
		want  error
		names string
	}{
		"no such branch":     {s.url, git.Ref{Branch: "mian"}, git.ErrNotFound, "it has the branches main"},
		"no such tag":        {s.url, git.Ref{Tag: "v1"}, git.ErrNotFound, "refs/tags/v1"},
		"nothing in range":   {s.url, git.Ref{SemVer: "~3"}, git.ErrNotFound, "~3"},
		"not a range":        {s.url, git.Ref{SemVer: "newest"}, git.ErrNotFound, "newest"},
		"no such name":       {s.url, git.Ref{Name: "refs/pull/1/head"}, git.ErrNotFound, "refs/pull/1/head"},
		"hostile name":       {s.url, git.Ref{Name: "refs/heads/../../x"}, git.ErrRefused, "in full"},
		"short commit":       {s.url, git.Ref{Commit: "abc1234"}, git.ErrRefused, "40"},
		"no such repository": {strings.Replace(s.url, "demo", "other", 1), git.Ref{}, git.ErrNotFound, "no such repository"},
		"no commits":         {empty.url, git.Ref{}, git.ErrNotFound, "no commits"},
		"server away":        {"http://" + closed.Addr().String() + "/demo.git", git.Ref{}, git.ErrUnreachable, "refused"},
		"file":               {"file://" + s.bare, git.Ref{}, git.ErrRefused, "only https, http and ssh"},
		"path":               {s.bare, git.Ref{}, git.ErrRefused, "only https, http and ssh"},
		"ext":                {"ext::sh -c id", git.Ref{}, git.ErrRefused, "https://host/path"},
		"git protocol":       {"git://example.com/x", git.Ref{}, git.ErrRefused, "only https, http and ssh"},
		"scp":                {"git@example.com:x/y.git", git.Ref{}, git.ErrRefused, "ssh://git@host/path"},
		"password in URL":    {strings.Replace(s.url, "http://", "http://me:hunter2@", 1), git.Ref{}, git.ErrRefused, "Secret"},
		"SSH without key":    {"ssh://git@127.0.0.1/x", git.Ref{}, git.ErrAuth, "identity"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := newClient().Resolve(t.Context(), git.Remote{URL: test.url}, test.ref)
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.names) {
				t.Fatalf("Resolve() = %v, want %v that says %q", err, test.want, test.names)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error holds a password: %v", err)
			}
		})
	}
}

func TestFetchErrors(t *testing.T) {
	s := newServer(t)
	remote := git.Remote{URL: s.url}
	unknown := git.Revision{Commit: strings.Repeat("1", 40)}
	if _, err := newClient().Fetch(t.Context(), remote, unknown, git.Options{}); !errors.Is(err, git.ErrNotFound) {
		t.Errorf("Fetch(unknown commit) = %v, want ErrNotFound", err)
	}
	here := git.Revision{Ref: "main", Commit: s.head()}
	if _, err := newClient().Fetch(t.Context(), remote, here, git.Options{Sparse: []string{"../x"}}); !errors.Is(err, git.ErrRefused) {
		t.Errorf("Fetch(sparse ../x) = %v, want ErrRefused", err)
	}
	dir := t.TempDir()
	if _, err := newClient(git.WithTempDir(dir), git.WithLimits(limited(func(l *git.Limits) { l.Pack = 10 }))).Fetch(t.Context(), remote, here, git.Options{}); !errors.Is(err, git.ErrRefused) {
		t.Errorf("Fetch(large pack) = %v, want ErrRefused", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("a failed fetch left %v", left)
	}
}

func TestTimeout(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, url := range []string{"http://" + silent.Addr().String() + "/demo.git", "ssh://git@" + silent.Addr().String() + "/demo.git"} {
		_, key := newKey(t, "")
		remote := git.Remote{URL: url, Timeout: time.Millisecond}
		if strings.HasPrefix(url, "ssh") {
			remote.Auth = git.Auth{Identity: key, KnownHosts: []byte("")}
			remote.Auth.KnownHosts = []byte("example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFxcXHmwaGnJ8scJaEN5RzklBPZpVSic4GdaAsKjQoeA\n")
		}
		if _, err := newClient().Resolve(t.Context(), remote, git.Ref{}); !errors.Is(err, git.ErrUnreachable) {
			t.Errorf("Resolve(%s) = %v, want ErrUnreachable", url, err)
		}
	}
}

func TestFetchShowsWhatTheOptionsAllow(t *testing.T) {
	s := newServer(t)
	s.commit(map[string]string{
		".gitignore": "x", "disks/root.qcow2": "x", "disks/root.raw.zst": "x", "disks/readme.md": "x",
		"apps/web/vm.yaml": "web", "apps/db/vm.yaml": "db", "apps/db/notes.txt": "x", "base/vm.yaml": "base",
		".sourceignore": "kustomization.yaml\n", "apps/db/.sourceignore": "*.txt\n",
	})
	revision := git.Revision{Ref: "main", Commit: s.head()}
	rules := []string{".sourceignore", "apps/db/.sourceignore"}
	tests := map[string]struct {
		options git.Options
		want    []string
	}{
		"defaults": {git.Options{}, append(rules, "disks/readme.md", "apps/web/vm.yaml", "apps/db/vm.yaml", "base/vm.yaml", "vm.yaml")},
		"ignore": {
			git.Options{Ignore: "# all but apps\n/*\n!/apps\r\n"},
			[]string{"apps/db/.sourceignore", "apps/web/vm.yaml", "apps/db/vm.yaml"},
		},
		"ignore wins over .sourceignore": {
			git.Options{Ignore: "/apps\n/base\n/disks\n!kustomization.yaml\n"},
			[]string{".sourceignore", "kustomization.yaml", "vm.yaml"},
		},
		"sparse":             {git.Options{Sparse: []string{"apps/web", "./base/"}}, []string{"apps/web/vm.yaml", "base/vm.yaml"}},
		"sparse of the root": {git.Options{Sparse: []string{"/"}, Ignore: "/apps\n/disks\n"}, []string{".sourceignore", "base/vm.yaml", "vm.yaml"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := list(t, fetch(t, git.Remote{URL: s.url}, revision, test.options))
			want := map[string]string{}
			for _, name := range test.want {
				want[name] = run(t, s.clone, "show", "HEAD:"+name)
			}
			for name := range got {
				got[name] = strings.TrimSpace(got[name])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestLinksInARepository(t *testing.T) {
	s := newServer(t)
	if err := os.Symlink("/etc/passwd", filepath.Join(s.clone, "link")); err != nil {
		t.Fatal(err)
	}
	run(t, s.clone, "update-index", "--add", "--cacheinfo", "160000,"+s.head()+",module")
	run(t, s.clone, "add", "link")
	run(t, s.clone, "commit", "-m", "links")
	s.push("HEAD")
	files := fetch(t, git.Remote{URL: s.url}, git.Revision{Commit: s.head()}, git.Options{})
	for name, want := range map[string]error{"vm.yaml": nil, "link": tree.ErrSymlink, "module": tree.ErrSubmodule, "module/vm.yaml": tree.ErrSubmodule} {
		if _, err := fs.ReadFile(files, name); !errors.Is(err, want) {
			t.Errorf("ReadFile(%s) = %v, want %v", name, err, want)
		}
	}
}

func TestCommitFromAServerWithoutBareCommits(t *testing.T) {
	s := newServer(t)
	first := s.head()
	second := s.commit(map[string]string{"vm.yaml": "second"})
	plain := newSSHServer(t, s.bare, "")
	remote := git.Remote{URL: "ssh://git@" + plain.address + "/demo.git", Auth: git.Auth{Identity: plain.identity, KnownHosts: []byte(plain.knownHosts)}}
	tests := map[string]struct {
		revision git.Revision
		want     error
	}{
		"tip of its branch":   {git.Revision{Ref: "main", Commit: second}, nil},
		"older":               {git.Revision{Ref: "main", Commit: first}, nil},
		"without a branch":    {git.Revision{Commit: first}, git.ErrNotFound},
		"not in its branch":   {git.Revision{Ref: "main", Commit: strings.Repeat("1", 40)}, git.ErrMoved},
		"branch that is gone": {git.Revision{Ref: "gone", Commit: first}, git.ErrNotFound},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			files, err := newClient().Fetch(t.Context(), remote, test.revision, git.Options{})
			if !errors.Is(err, test.want) {
				t.Fatalf("Fetch() = %v, want %v", err, test.want)
			}
			if err != nil {
				return
			}
			got := strings.TrimSpace(list(t, files)["vm.yaml"])
			if want := run(t, s.clone, "show", test.revision.Commit+":vm.yaml"); got != want {
				t.Errorf("vm.yaml is %q, want %q", got, want)
			}
		})
	}
}

// TestOldServers: all ways to fetch from a server that speaks version 0 only.
func TestOldServers(t *testing.T) {
	s := newServer(t)
	first := s.head()
	run(t, s.clone, "tag", "-a", "v1.0.0", "-m", "release")
	second := s.commit(map[string]string{"vm.yaml": "second", "apps/vm.yaml": "app"})
	s.push("--tags")
	old := s.guarded(func(r *http.Request) bool { r.Header.Del("Git-Protocol"); return true })
	old.Start()
	defer old.Close()
	remote := git.Remote{URL: old.URL + "/demo.git"}
	tests := map[string]struct {
		ref    git.Ref
		commit string
		o      git.Options
		files  int
	}{
		"head":           {git.Ref{}, second, git.Options{}, 3},
		"branch, sparse": {git.Ref{Branch: "main"}, second, git.Options{Sparse: []string{"apps"}}, 1},
		"tag":            {git.Ref{Tag: "v1.0.0"}, first, git.Options{}, 2},
		"range":          {git.Ref{SemVer: "1.x"}, first, git.Options{}, 2},
		"commit":         {git.Ref{Commit: first}, first, git.Options{}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := newClient().Resolve(t.Context(), remote, test.ref)
			if err != nil || got.Commit != test.commit {
				t.Fatalf("Resolve() = %v, %v", got, err)
			}
			if files := list(t, fetch(t, remote, got, test.o)); len(files) != test.files {
				t.Errorf("files: %v", files)
			}
		})
	}
}

func TestHTTPCredentials(t *testing.T) {
	s := newServer(t)
	basic := func(r *http.Request) bool {
		user, password, _ := r.BasicAuth()
		return user == "me" && password == "hunter2"
	}
	bearer := func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer token123" }
	anybody := func(*http.Request) bool { return true }
	tests := map[string]struct {
		allow  func(*http.Request) bool
		tls    bool
		secret map[string]string
		want   error
	}{
		"basic":                 {basic, false, map[string]string{"username": "me", "password": "hunter2\n"}, nil},
		"wrong password":        {basic, false, map[string]string{"username": "me", "password": "wrongpassword"}, git.ErrAuth},
		"anonymous":             {basic, false, nil, git.ErrAuth},
		"bearer":                {bearer, false, map[string]string{"bearerToken": "token123"}, nil},
		"wrong token":           {bearer, false, map[string]string{"bearerToken": "wrongpassword"}, git.ErrAuth},
		"TLS with CA":           {basic, true, map[string]string{"username": "me", "password": "hunter2", "ca.crt": "set below"}, nil},
		"TLS without CA":        {anybody, true, nil, git.ErrUnreachable},
		"TLS with the wrong CA": {anybody, true, map[string]string{"ca.crt": "nonsense"}, git.ErrRefused},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			web := s.guarded(test.allow)
			if test.tls {
				web.StartTLS()
			} else {
				web.Start()
			}
			defer web.Close()
			secret := map[string][]byte{}
			for key, value := range test.secret {
				secret[key] = []byte(value)
			}
			if test.secret["ca.crt"] == "set below" {
				secret["ca.crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
			}
			auth, err := git.ParseAuth(secret, web.URL+"/demo.git")
			if err == nil {
				_, err = newClient().Resolve(t.Context(), git.Remote{URL: web.URL + "/demo.git", Auth: auth}, git.Ref{})
			}
			if !errors.Is(err, test.want) {
				t.Fatalf("Resolve() = %v, want %v", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "wrongpassword") {
				t.Errorf("the error holds a credential: %v", err)
			}
			if printed := fmt.Sprintf("%v %+v %#v", auth, auth, auth); strings.Contains(printed, "hunter2") || strings.Contains(printed, "token123") {
				t.Errorf("credentials print as %s", printed)
			}
		})
	}
}

func TestSSHCredentials(t *testing.T) {
	s := newServer(t)
	tests := map[string]struct {
		passphrase string
		change     func(secret map[string][]byte, other *sshServer)
		parse      error
		resolve    error
		names      string
	}{
		"key":                 {},
		"key with passphrase": {passphrase: "open sesame", change: func(m map[string][]byte, _ *sshServer) { m["password"] = []byte("open sesame") }},
		"wrong passphrase":    {passphrase: "open sesame", change: func(m map[string][]byte, _ *sshServer) { m["password"] = []byte("open") }, parse: git.ErrRefused, names: "password"},
		"no known_hosts":      {change: func(m map[string][]byte, _ *sshServer) { delete(m, "known_hosts") }, parse: git.ErrRefused, names: "ssh-keyscan"},
		"no identity":         {change: func(m map[string][]byte, _ *sshServer) { delete(m, "identity") }, parse: git.ErrRefused, names: "identity"},
		"unknown host":        {change: func(m map[string][]byte, o *sshServer) { m["known_hosts"] = []byte(o.knownHosts) }, resolve: git.ErrAuth, names: "not in known_hosts"},
		"changed host key": {
			change: func(m map[string][]byte, o *sshServer) {
				_, key, _ := strings.Cut(o.knownHosts, " ")
				host, _, _ := strings.Cut(string(m["known_hosts"]), " ")
				m["known_hosts"] = []byte(host + " " + key)
			},
			resolve: git.ErrAuth, names: "is not the one in known_hosts",
		},
		"key the server does not know": {change: func(m map[string][]byte, o *sshServer) { m["identity"] = o.identity }, resolve: git.ErrAuth, names: "unable to authenticate"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			server, other := newSSHServer(t, s.bare, test.passphrase), newSSHServer(t, s.bare, "")
			secret := map[string][]byte{"identity": server.identity, "known_hosts": []byte(server.knownHosts)}
			if test.change != nil {
				test.change(secret, other)
			}
			url := "ssh://git@" + server.address + "/demo.git"
			auth, err := git.ParseAuth(secret, url)
			if !errors.Is(err, test.parse) {
				t.Fatalf("ParseAuth() = %v, want %v", err, test.parse)
			}
			if err == nil {
				_, err = newClient().Resolve(t.Context(), git.Remote{URL: url, Auth: auth}, git.Ref{})
				if !errors.Is(err, test.resolve) {
					t.Fatalf("Resolve() = %v, want %v", err, test.resolve)
				}
			}
			if test.names != "" && !strings.Contains(err.Error(), test.names) {
				t.Errorf("%v does not say %q", err, test.names)
			}
		})
	}
}

func TestServerError(t *testing.T) {
	s := newServer(t)
	status := http.StatusInternalServerError
	web := s.guarded(nil)
	web.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	web.Start()
	defer web.Close()
	for code, want := range map[int]error{500: git.ErrUnreachable, 503: git.ErrUnreachable, 429: git.ErrUnreachable, 404: git.ErrNotFound, 403: git.ErrAuth} {
		status = code
		if _, err := newClient().Resolve(t.Context(), git.Remote{URL: web.URL + "/x"}, git.Ref{}); !errors.Is(err, want) {
			t.Errorf("status %d: %v, want %v", code, err, want)
		}
	}
}

func TestServerThatEchoesCredentials(t *testing.T) {
	s := newServer(t)
	web := s.guarded(nil)
	web.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		http.Error(w, fmt.Sprintf("cannot log in %s with %s (%s)", user, password, r.Header.Get("Authorization")), http.StatusInternalServerError)
	})
	web.Start()
	defer web.Close()
	for _, auth := range []git.Auth{{Username: "me", Password: "hunter2"}, {BearerToken: "hunter2"}} {
		_, err := newClient().Resolve(t.Context(), git.Remote{URL: web.URL + "/x", Auth: auth}, git.Ref{})
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "bWU6aHVudGVyMg") {
			t.Errorf("the error shows a credential: %v", err)
		}
	}
}

func TestFetchThatTakesTooLong(t *testing.T) {
	s := newServer(t)
	revision := git.Revision{Ref: "main", Commit: s.head()}
	web := s.guarded(nil)
	web.Config.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	web.Start()
	defer web.Close()
	remote := git.Remote{URL: web.URL + "/demo.git", Timeout: 10 * time.Millisecond}
	if _, err := newClient(git.WithTempDir(t.TempDir())).Fetch(t.Context(), remote, revision, git.Options{}); !errors.Is(err, git.ErrUnreachable) {
		t.Errorf("Fetch() = %v, want ErrUnreachable", err)
	}
}

func TestParseRevision(t *testing.T) {
	commit := strings.Repeat("0a", 20)
	for _, want := range []git.Revision{{Ref: "main", Commit: commit}, {Ref: "a@b/c", Commit: commit}, {Commit: commit}} {
		got, err := git.ParseRevision(want.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, bad := range []string{"", "main", "main@" + commit, "main@sha1:abc", "sha256:" + commit, "@sha1:" + commit} {
		if got, err := git.ParseRevision(bad); err == nil {
			t.Errorf("ParseRevision(%q) = %v, want an error", bad, got)
		}
	}
}

func TestClosedTreeLeavesNothing(t *testing.T) {
	s := newServer(t)
	dir := t.TempDir()
	files, err := newClient(git.WithTempDir(dir)).Fetch(t.Context(), git.Remote{URL: s.url}, git.Revision{Commit: s.head()}, git.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Fatalf("%d packs while the tree is open, want 1", len(left))
	}
	if err := files.(io.Closer).Close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("a closed tree left %v", left)
	}
}

func TestNewClientRemovesPacksOfAKilledProcess(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "pack-123", "objects"), 0o700); err != nil {
		t.Fatal(err)
	}
	newClient(git.WithTempDir(dir))
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
