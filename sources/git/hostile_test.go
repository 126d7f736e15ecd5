package git_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zlib"

	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/tree"
)

// hostile is a Git server that sends what no honest one does. It speaks version 2.
type hostile struct {
	objects [][]byte // of the pack
	head    string
	// refs, pack and first answer in place of the usual; nil is the usual.
	refs  func(w io.Writer)
	pack  func(w io.Writer)
	first http.HandlerFunc
}

func pkt(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }

func (h *hostile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		if h.first != nil {
			h.first(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = io.WriteString(w, pkt("version 2\n")+pkt("ls-refs\n")+pkt("fetch=shallow filter\n")+"0000")
		return
	}
	w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	body, _ := io.ReadAll(r.Body)
	if bytes.Contains(body, []byte("command=ls-refs")) {
		if h.refs != nil {
			h.refs(w)
			return
		}
		_, _ = io.WriteString(w, pkt(h.head+" refs/heads/main\n")+pkt(h.head+" HEAD symref-target:refs/heads/main\n")+"0000")
		return
	}
	_, _ = io.WriteString(w, pkt("packfile\n"))
	if h.pack != nil {
		h.pack(w)
		return
	}
	band(w, h.packed())
	_, _ = io.WriteString(w, "0000")
}

// band sends bytes on the channel for data.
func band(w io.Writer, b []byte) {
	for len(b) > 0 {
		n := min(len(b), 60000)
		_, _ = io.WriteString(w, pkt("\x01"+string(b[:n])))
		b = b[n:]
	}
}

func (h *hostile) packed() []byte {
	b := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(h.objects)))
	b = append(b, bytes.Join(h.objects, nil)...)
	sum := sha1.Sum(b)
	return append(b, sum[:]...)
}

// add puts an object into the pack and returns its hash.
func (h *hostile) add(typ string, content []byte) string {
	number := map[string]int{"commit": 1, "tree": 2, "blob": 3, "tag": 4}[typ]
	size := len(content)
	first := byte(number<<4 | size&15)
	size >>= 4
	var out bytes.Buffer
	for ; size > 0; size >>= 7 {
		out.WriteByte(first | 0x80)
		first = byte(size & 0x7f)
	}
	out.WriteByte(first)
	z := zlib.NewWriter(&out)
	_, _ = z.Write(content)
	_ = z.Close()
	h.objects = append(h.objects, out.Bytes())
	sum := sha1.Sum(append(fmt.Appendf(nil, "%s %d\x00", typ, len(content)), content...))
	return hex.EncodeToString(sum[:])
}

// entries makes a tree of "mode name hash".
func (h *hostile) tree(entries ...string) string {
	var b bytes.Buffer
	for _, e := range entries {
		mode, rest, _ := strings.Cut(e, " ")
		name, hash := rest[:len(rest)-41], rest[len(rest)-40:]
		raw, _ := hex.DecodeString(hash)
		fmt.Fprintf(&b, "%s %s\x00%s", mode, name, raw)
	}
	return h.add("tree", b.Bytes())
}

func (h *hostile) commit(root string) {
	h.head = h.add("commit", []byte("tree "+root+"\nauthor A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\nx\n"))
}

func (h *hostile) start(t *testing.T) git.Remote {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	return git.Remote{URL: web.URL + "/x"}
}

// fetchAll resolves and fetches, and reads every file.
func fetchAll(t *testing.T, remote git.Remote, o git.Options, options ...git.Option) error {
	t.Helper()
	dir := t.TempDir()
	client := newClient(append([]git.Option{git.WithTempDir(dir)}, options...)...)
	revision, err := client.Resolve(t.Context(), remote, git.Ref{})
	if err != nil {
		return err
	}
	files, err := client.Fetch(t.Context(), remote, revision, o)
	if err != nil {
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("a failed fetch left %v", left)
		}
		return err
	}
	defer files.(io.Closer).Close()
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		_, err = fs.ReadFile(files, name)
		return err
	})
}

const someHash = "1111111111111111111111111111111111111111"

// TestHostileTrees: names that mean something to a file system, and shapes that have no end.
func TestHostileTrees(t *testing.T) {
	names := []string{
		".git", ".GIT", ".gIt", ".git ", ".git.", ".git . .", "git~1", "GIT~1", ".git::$INDEX_ALLOCATION", ".git:x", ".g\u200cit", "\ufeff.git",
		"..", ".", "", "a/b", "../../etc/passwd", "/etc/passwd", `..\..\x`, `a\b`, "a\nb", "\xff\xfe", "... ", strings.Repeat("x", 2000),
	}
	for _, name := range names {
		t.Run(fmt.Sprintf("%.20q", name), func(t *testing.T) {
			for _, mode := range []string{"100644", "40000", "120000", "160000"} {
				h := &hostile{}
				h.commit(h.tree(mode + " " + name + " " + h.add("blob", []byte("x"))))
				if err := fetchAll(t, h.start(t), git.Options{}); !errors.Is(err, git.ErrRefused) {
					t.Errorf("mode %s: %v, want ErrRefused", mode, err)
				}
			}
		})
	}
	shapes := map[string]func(h *hostile){
		"deep": func(h *hostile) {
			root := h.tree("100644 f " + h.add("blob", []byte("x")))
			for range 200 {
				root = h.tree("40000 d " + root)
			}
			h.commit(root)
		},
		"bomb": func(h *hostile) { // ten trees, 10^10 files
			root := h.add("blob", []byte("x"))
			mode := "100644"
			for range 10 {
				var entries []string
				for i := range 10 {
					entries = append(entries, fmt.Sprintf("%s %d %s", mode, i, root))
				}
				root, mode = h.tree(entries...), "40000"
			}
			h.commit(root)
		},
		"twice": func(h *hostile) {
			b := h.add("blob", []byte("x"))
			h.commit(h.tree("100644 a "+b, "100644 a "+b))
		},
		"link and directory": func(h *hostile) {
			b := h.add("blob", []byte("/etc"))
			h.commit(h.tree("120000 a "+b, "40000 a "+h.tree("100644 passwd "+b)))
		},
		"odd mode":         func(h *hostile) { h.commit(h.tree("100000 a " + h.add("blob", []byte("x")))) },
		"device":           func(h *hostile) { h.commit(h.tree("20000 a " + h.add("blob", []byte("x")))) },
		"blob as a tree":   func(h *hostile) { h.commit(h.tree("40000 a " + h.add("blob", []byte("100644 x")))) },
		"tree as a blob":   func(h *hostile) { h.commit(h.tree("100644 .sourceignore " + h.tree())) },
		"tree cut off":     func(h *hostile) { h.commit(h.add("tree", []byte("100644 a\x00123"))) },
		"commit of itself": func(h *hostile) { h.head = h.add("commit", []byte("tree "+someHash[:39]+"\n\n")) },
	}
	for name, build := range shapes {
		t.Run(name, func(t *testing.T) {
			h := &hostile{}
			build(h)
			err := fetchAll(t, h.start(t), git.Options{}, git.WithLimits(limited(func(l *git.Limits) { l.Entries = 5000 })))
			if !errors.Is(err, git.ErrRefused) {
				t.Errorf("Fetch() = %v, want ErrRefused", err)
			}
		})
	}
}

// TestLimits: each of the limits, just met and just broken.
func TestLimits(t *testing.T) {
	h := &hostile{}
	content := bytes.Repeat([]byte("0123456789abcdef"), 256)
	blob := h.add("blob", content)
	h.commit(h.tree("100644 a "+blob, "40000 d "+h.tree("100644 b "+blob)))
	remote := h.start(t)
	size := int64(len(h.packed()))
	refs := int64(len(pkt(h.head+" refs/heads/main\n")+pkt(h.head+" HEAD symref-target:refs/heads/main\n")) + 4)
	var inflated int64 = 4096 + 200
	tests := map[string]struct {
		enough, little func(*git.Limits)
	}{
		"pack":     {func(l *git.Limits) { l.Pack = size }, func(l *git.Limits) { l.Pack = size - 1 }},
		"file":     {func(l *git.Limits) { l.File = 4096 }, func(l *git.Limits) { l.File = 4095 }},
		"entries":  {func(l *git.Limits) { l.Entries = 3 }, func(l *git.Limits) { l.Entries = 2 }},
		"refs":     {func(l *git.Limits) { l.Refs = refs }, func(l *git.Limits) { l.Refs = refs - 5 }},
		"objects":  {func(l *git.Limits) { l.Objects = 4 }, func(l *git.Limits) { l.Objects = 3 }},
		"inflated": {func(l *git.Limits) { l.Inflated = 2 * inflated }, func(l *git.Limits) { l.Inflated = 4096 }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if err := fetchAll(t, remote, git.Options{}, git.WithLimits(limited(test.enough))); err != nil {
				t.Errorf("just enough: %v", err)
			}
			if err := fetchAll(t, remote, git.Options{}, git.WithLimits(limited(test.little))); !errors.Is(err, git.ErrRefused) {
				t.Errorf("one too little: %v, want ErrRefused", err)
			}
		})
	}
}

// TestHostileConversations: lists and packs without an end, and answers that are none.
func TestHostileConversations(t *testing.T) {
	build := func() *hostile {
		h := &hostile{}
		h.commit(h.tree("100644 a " + h.add("blob", []byte("x"))))
		return h
	}
	forever := func(w io.Writer, b string) {
		for {
			if _, err := io.WriteString(w, b); err != nil {
				return
			}
		}
	}
	advertise := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = io.WriteString(w, body)
		}
	}
	tests := map[string]struct {
		change func(h *hostile)
		want   error
	}{
		"references without an end": {func(h *hostile) { h.refs = func(w io.Writer) { forever(w, pkt(someHash+" refs/heads/x\n")) } }, git.ErrRefused},
		"capabilities without an end": {func(h *hostile) {
			h.first = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
				_, _ = io.WriteString(w, pkt("version 2\n"))
				forever(w, pkt("x=y\n"))
			}
		}, git.ErrRefused},
		"pack without an end": {func(h *hostile) { h.pack = func(w io.Writer) { forever(w, pkt("\x01"+strings.Repeat("x", 60000))) } }, git.ErrRefused},
		"pack that is none": {func(h *hostile) {
			h.pack = func(w io.Writer) { band(w, []byte("<html>")); _, _ = io.WriteString(w, "0000") }
		}, git.ErrRefused},
		"pack cut off":             {func(h *hostile) { h.pack = func(w io.Writer) { band(w, h.packed()[:30]) } }, git.ErrUnreachable},
		"pack with another commit": {func(h *hostile) { h.head = someHash }, git.ErrMoved},
		"an error": {func(h *hostile) {
			h.pack = func(w io.Writer) { _, _ = io.WriteString(w, pkt("\x03out of\x1b[31m memory")) }
		}, git.ErrMoved},
		"an unknown band":       {func(h *hostile) { h.pack = func(w io.Writer) { _, _ = io.WriteString(w, pkt("\x09x")) } }, git.ErrMoved},
		"length that is none":   {func(h *hostile) { h.first = advertise("zzzz") }, nil},
		"line that is too long": {func(h *hostile) { h.first = advertise("fff5") }, nil},
		"length of three":       {func(h *hostile) { h.first = advertise("0003") }, nil},
		"a page": {func(h *hostile) {
			h.first = func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }
		}, nil},
		"nothing":                 {func(h *hostile) { h.first = advertise("") }, git.ErrUnreachable},
		"another hash":            {func(h *hostile) { h.first = advertise(pkt("version 2\n") + pkt("object-format=sha256\n") + "0000") }, nil},
		"references of version 0": {func(h *hostile) { h.first = advertise(pkt("x refs/heads/main\x00\n") + "0000") }, nil},
		"headers without an end": {func(h *hostile) {
			h.first = func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }
		}, git.ErrUnreachable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := build()
			test.change(h)
			err := fetchAll(t, h.start(t), git.Options{}, git.WithLimits(limited(func(l *git.Limits) { l.Pack, l.Refs = 1<<20, 1<<16 })))
			if err == nil || test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "\x1b") {
				t.Errorf("the error has a control character: %q", err)
			}
		})
	}
}

// TestSlowLoris: a server that sends a byte now and then is given up on in time.
func TestSlowLoris(t *testing.T) {
	h := &hostile{first: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		for _, b := range []byte(pkt("version 2\n")) {
			_, _ = w.Write([]byte{b})
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}}
	remote := h.start(t)
	remote.Timeout = 50 * time.Millisecond
	if _, err := newClient().Resolve(t.Context(), remote, git.Ref{}); !errors.Is(err, git.ErrUnreachable) {
		t.Errorf("Resolve() = %v, want ErrUnreachable", err)
	}
}

// TestReferenceMovesInBetween: what was resolved is what is fetched, even when the reference moved on; and when the server
// does not have it any more, the error says so.
func TestReferenceMovesInBetween(t *testing.T) {
	s := newServer(t)
	first, err := newClient().Resolve(t.Context(), git.Remote{URL: s.url}, git.Ref{})
	if err != nil {
		t.Fatal(err)
	}
	s.commit(map[string]string{"vm.yaml": "newer"})
	if got := list(t, fetch(t, git.Remote{URL: s.url}, first, git.Options{}))["vm.yaml"]; got != "kind: VirtualMachine\n" {
		t.Errorf("vm.yaml is %q, want that of the commit that was resolved", got)
	}
}

func TestSubmodules(t *testing.T) {
	inner, outer := newServer(t), newServer(t)
	_ = inner
	// One server holds both: the outer repository, and the inner one beside it.
	host := newServer(t)
	module := filepath.Join(t.TempDir(), "module.git")
	run(t, t.TempDir(), "clone", "-q", "--bare", outer.bare, module)
	host.serve("module", module)
	pinned := run(t, module, "rev-parse", "main")
	withModule := func(url, extra string) git.Remote {
		t.Helper()
		gitmodules := "# modules\n[submodule \"m\"]\n\tpath = libs/m\n\turl = " + url + "\n" + extra
		run(t, host.clone, "update-index", "--add", "--cacheinfo", "160000,"+pinned+",libs/m")
		if err := os.WriteFile(filepath.Join(host.clone, ".gitmodules"), []byte(gitmodules), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, host.clone, "add", ".gitmodules")
		run(t, host.clone, "commit", "-q", "--allow-empty", "-m", "module")
		host.push("HEAD")
		return git.Remote{URL: host.url}
	}
	base := strings.TrimSuffix(host.url, "demo.git")
	tests := map[string]struct {
		url   string
		extra string
		o     git.Options
		want  error
		says  string
	}{
		"relative":           {url: "../module.git", o: git.Options{Submodules: true}},
		"absolute":           {url: base + "module.git", o: git.Options{Submodules: true}},
		"sparse":             {url: "../module.git", o: git.Options{Submodules: true, Sparse: []string{"libs"}}},
		"not asked for":      {url: "../module.git", want: tree.ErrSubmodule},
		"another host":       {url: "http://localhost:1/module.git", o: git.Options{Submodules: true}, want: git.ErrRefused, says: "same server"},
		"another protocol":   {url: strings.Replace(base, "http://", "ssh://git@", 1) + "module.git", o: git.Options{Submodules: true}, want: git.ErrRefused, says: "same server"},
		"a file":             {url: "file:///etc", o: git.Options{Submodules: true}, want: git.ErrRefused, says: "none that is allowed"},
		"a path":             {url: "/etc", o: git.Options{Submodules: true}, want: git.ErrRefused, says: "none of https"},
		"a command":          {url: "ext::sh -c id", o: git.Options{Submodules: true}, want: git.ErrRefused, says: "none"},
		"an option":          {url: "--upload-pack=id", o: git.Options{Submodules: true}, want: git.ErrRefused, says: "not a URL"},
		"out of the server":  {url: "../../../../../x", o: git.Options{Submodules: true}, want: git.ErrRefused, says: "leads out"},
		"a password":         {url: "http://me:pw@127.0.0.1/x", o: git.Options{Submodules: true}, want: git.ErrRefused, says: "none that is allowed"},
		"a path that climbs": {url: "../module.git", extra: "[submodule \"x\"]\n\tpath = ../../x\n\turl = ../module.git\n", o: git.Options{Submodules: true}, want: git.ErrRefused, says: "not a path in the repository"},
		"path into .git":     {url: "../module.git\n[submodule \"y\"]\n\tpath = libs/n", o: git.Options{Submodules: true}},
		"missing":            {url: "../missing.git", o: git.Options{Submodules: true}, want: git.ErrNotFound},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			remote := withModule(test.url, test.extra)
			client := newClient(git.WithTempDir(t.TempDir()))
			files, err := client.Fetch(t.Context(), remote, git.Revision{Ref: "main", Commit: host.head()}, test.o)
			if err == nil {
				defer files.(io.Closer).Close()
				_, err = fs.ReadFile(files, "libs/m/vm.yaml")
			}
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v does not say %q", err, test.says)
			}
		})
	}
}

// TestSubmodulesThatContainThemselves end at a depth.
func TestSubmodulesThatContainThemselves(t *testing.T) {
	h := &hostile{}
	// A commit cannot contain its own hash, but a server can send ever new ones: here each pack holds a chain of commits,
	// each of which is the submodule of the next.
	gitmodules := h.add("blob", []byte("[submodule \"m\"]\npath = m\nurl = ./\n"))
	h.commit(h.tree("100644 f " + h.add("blob", []byte("x"))))
	for range 10 {
		h.commit(h.tree("100644 .gitmodules "+gitmodules, "160000 m "+h.head))
	}
	if err := fetchAll(t, h.start(t), git.Options{Submodules: true}); !errors.Is(err, git.ErrRefused) || !strings.Contains(err.Error(), "submodules deep") {
		t.Errorf("Fetch() = %v, want ErrRefused for the depth", err)
	}
	wide := &hostile{}
	gitmodules = wide.add("blob", []byte(strings.Repeat("x\n", 0)+manyModules(100)))
	wide.commit(wide.tree("100644 f " + wide.add("blob", []byte("x"))))
	entries := []string{"100644 .gitmodules " + gitmodules}
	for i := range 100 {
		entries = append(entries, fmt.Sprintf("160000 m%03d %s", i, wide.head))
	}
	wide.commit(wide.tree(entries...))
	if err := fetchAll(t, wide.start(t), git.Options{Submodules: true}); !errors.Is(err, git.ErrRefused) || !strings.Contains(err.Error(), "more than 64") {
		t.Errorf("Fetch() = %v, want ErrRefused for the number", err)
	}
}

func manyModules(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "[submodule \"m\"]\npath = m%03d\nurl = ./\n", i)
	}
	return b.String()
}

// TestSparseTransfersLittle: the server is asked to leave out what is not wanted, rules of ignored directories included.
func TestSparseTransfersLittle(t *testing.T) {
	s := newServer(t)
	large := make([]byte, 1<<20)
	for i := range large { // does not compress
		sum := sha1.Sum(fmt.Append(nil, i/20))
		large[i] = sum[i%20]
	}
	s.commit(map[string]string{
		"apps/vm.yaml": "wanted", "other/large.bin": string(large), ".sourceignore": "*.txt\n", "apps/notes.txt": "x",
		"apps/.sourceignore": "!keep.txt\n", "apps/keep.txt": "kept",
	})
	small := git.WithLimits(limited(func(l *git.Limits) { l.Pack = 1 << 16 }))
	revision := git.Revision{Ref: "main", Commit: s.head()}
	client := newClient(small, git.WithTempDir(t.TempDir()))
	if _, err := client.Fetch(t.Context(), git.Remote{URL: s.url}, revision, git.Options{}); !errors.Is(err, git.ErrRefused) {
		t.Errorf("all of it: %v, want ErrRefused", err)
	}
	files, err := client.Fetch(t.Context(), git.Remote{URL: s.url}, revision, git.Options{Sparse: []string{"apps"}})
	if err != nil {
		t.Fatal(err)
	}
	defer files.(io.Closer).Close()
	got := list(t, files)
	if len(got) != 3 || got["apps/vm.yaml"] != "wanted" || got["apps/keep.txt"] != "kept" {
		t.Errorf("files: %v", got)
	}
}
