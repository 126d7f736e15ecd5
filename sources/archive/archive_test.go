package archive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"slipway.dev/slipway/sources/tree"
)

type entry struct {
	header  tar.Header
	content string
}

func file(name, content string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content))}, content}
}

func link(kind byte, name, target string) entry {
	return entry{tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777}, ""}
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(t testing.TB, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func contentsOf(t testing.TB, files fs.FS) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := fs.ReadFile(files, name)
		out[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestUnpackForms(t *testing.T) {
	plain := tarOf(t, entry{header: tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755}}, file("./a.yaml", "a"), file("b/c.yaml", "c"))
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string][]byte{"tar": plain, "gzip": gzipped(t, plain), "zstd": encoder.EncodeAll(plain, nil)}
	for name, raw := range forms {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			got, err := Unpack(t.Context(), bytes.NewReader(raw), Options{TempDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			if diff := cmp.Diff(map[string]string{"a.yaml": "a", "b/c.yaml": "c"}, contentsOf(t, got)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if err := fstest.TestFS(got, "a.yaml", "b/c.yaml"); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left in the temporary directory: %v, %v", left, err)
			}
		})
	}
}

func TestIgnoreRules(t *testing.T) {
	raw := tarOf(t,
		file("docs/keep.md", "k"), file("docs/drop.md", "d"), file("docs/.sourceignore", "!keep.md\n"), file("root.qcow2", "disk"),
		file("secret/key", "s"), file("vm.yaml", "v"), file(".sourceignore", "*.md\nsecret/\n"), file(".git/config", "g"))
	tests := map[string]struct {
		options Options
		want    []string
	}{
		"those of the tree": {Options{}, []string{".sourceignore", "docs/.sourceignore", "docs/keep.md", "vm.yaml"}},
		"those of the spec": {Options{Ignore: "vm.yaml\n!*.qcow2"}, []string{".sourceignore", "docs/.sourceignore", "docs/keep.md", "root.qcow2"}},
		"none":              {Options{All: true}, []string{".git/config", ".sourceignore", "docs/.sourceignore", "docs/drop.md", "docs/keep.md", "root.qcow2", "secret/key", "vm.yaml"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Unpack(t.Context(), bytes.NewReader(raw), test.options)
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			var names []string
			for name := range contentsOf(t, got) {
				names = append(names, name)
			}
			slices.Sort(names)
			if diff := cmp.Diff(test.want, names); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

// CVE-2026-50162 and CVE-2026-50163 of oras-go, CVE-2022-24877 of Flux,
// CVE-2022-24348, CVE-2022-24904 and CVE-2022-24731 of Argo CD: names and links
// that led out of the directory that an archive was unpacked in.
func TestCVE202650162And202650163AndCVE202224877EscapesAreRefused(t *testing.T) {
	tests := map[string]struct {
		entries []entry
		says    string
	}{
		"a parent":              {[]entry{file("../etc/passwd", "x")}, "clean relative path"},
		"a parent on the way":   {[]entry{file("a/../../etc/passwd", "x")}, "clean relative path"},
		"a parent behind a dot": {[]entry{file("./../etc/passwd", "x")}, "clean relative path"},
		"absolute":              {[]entry{file("/etc/passwd", "x")}, "clean relative path"},
		"the root":              {[]entry{{header: tar.Header{Typeflag: tar.TypeDir, Name: "/"}}}, "clean relative path"},
		"a back slash and NUL":  {[]entry{file("a\x01b", "x")}, "control character"},
		"a line feed":           {[]entry{file("a\nb", "x")}, "control character"},
		"no UTF-8":              {[]entry{file("a\xffb", "x")}, "UTF-8"},
		"a long name":           {[]entry{file(strings.Repeat("a/", 600)+"a", "x")}, "long"},
		"twice":                 {[]entry{file("a", "x"), file("./a", "y")}, "twice"},
		"a file as a directory": {[]entry{file("a", "x"), file("a/b", "y")}, "which is a file"},
		"a hard link":           {[]entry{file("a", "x"), link(tar.TypeLink, "b", "a")}, "hard link"},
		"a hard link out":       {[]entry{link(tar.TypeLink, "b", "/etc/passwd")}, "hard link"},
		"through a link":        {[]entry{link(tar.TypeSymlink, "a", "/etc"), file("a/passwd", "y")}, "which is a file"},
		"a character device":    {[]entry{link(tar.TypeChar, "a", "")}, "neither a file"},
		"a block device":        {[]entry{link(tar.TypeBlock, "a", "")}, "neither a file"},
		"a pipe":                {[]entry{link(tar.TypeFifo, "a", "")}, "neither a file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Unpack(t.Context(), bytes.NewReader(tarOf(t, test.entries...)), Options{})
			if err == nil {
				got.Close()
			}
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Unpack() = %v, want ErrRefused with %q", err, test.says)
			}
		})
	}
}

func TestSymbolicLinksAreListedAndNotFollowed(t *testing.T) {
	got, err := Unpack(t.Context(), bytes.NewReader(tarOf(t, file("a", "x"), link(tar.TypeSymlink, "b", "/etc/passwd"))), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if _, err := got.ReadFile("b"); !errors.Is(err, tree.ErrSymlink) {
		t.Errorf("ReadFile(b) = %v, want ErrSymlink", err)
	}
}

// Names that differ in case only are different files here, whatever other systems
// make of them.
func TestCaseMatters(t *testing.T) {
	got, err := Unpack(t.Context(), bytes.NewReader(tarOf(t, file("A", "1"), file("a", "2"))), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if diff := cmp.Diff(map[string]string{"A": "1", "a": "2"}, contentsOf(t, got)); diff != "" {
		t.Error(diff)
	}
}

// CVE-2022-31016 and CVE-2024-29893 of Argo CD, and Flux's own missing limits:
// archives that cost more than they weigh.
func TestCVE202231016And202429893Bombs(t *testing.T) {
	small := Limits{Entries: 10, FileBytes: 1 << 10, Bytes: 4 << 10, Ratio: 10, RatioFrom: 16 << 10}
	many := make([]entry, 11)
	for i := range many {
		many[i] = file(fmt.Sprint("f", i), "")
	}
	pairs := make([]entry, 6)
	for i := range pairs {
		pairs[i] = file(fmt.Sprint("f", i), strings.Repeat("x", 1000))
	}
	sparse := tarOf(t, entry{tar.Header{Typeflag: tar.TypeReg, Name: "s", Size: 5, Format: tar.FormatPAX}, "12345"})
	huge := tarOf(t, file("x", ""))
	copy(huge[124:136], "77777777777\x00") // its size field; the checksum is made to fit
	sum := 0
	copy(huge[148:156], "        ")
	for _, b := range huge[:512] {
		sum += int(b)
	}
	copy(huge[148:156], fmt.Sprintf("%06o\x00 ", sum))
	tests := map[string]struct {
		raw  []byte
		says string
	}{
		"many entries":                {tarOf(t, many...), "more than 10 entries"},
		"a large file":                {tarOf(t, file("a", strings.Repeat("x", 2000))), "the limit is 1024"},
		"files that are large in sum": {tarOf(t, pairs...), "more than 4096 bytes"},
		"a file that says it is huge": {huge, "the limit is 1024"},
		"zeros in gzip":               {gzipped(t, append(tarOf(t, file("a", "x"))[:1024], make([]byte, 16<<20)...)), ""},
		"gzip that ignore rules hide": {gzipped(t, tarOf(t, file("root.qcow2", strings.Repeat("\x00", 1<<20)))), "bomb"},
		"cut off":                     {gzipped(t, sparse)[:20], "unexpected EOF"},
		"no archive":                  {[]byte(strings.Repeat("kind: List\n", 100)), "not a tar archive"},
		"broken gzip":                 {[]byte{0x1f, 0x8b, 0xff, 0, 0, 0, 0, 0, 0, 0}, "gzip"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Unpack(t.Context(), bytes.NewReader(test.raw), Options{Limits: small})
			if err == nil {
				defer got.Close()
			}
			if test.says == "" {
				if err != nil {
					t.Errorf("Unpack() = %v; zeros behind the end are not even read", err)
				}
				return
			}
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Unpack() = %v, want ErrRefused with %q", err, test.says)
			}
		})
	}
}

func TestUnpackEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := Unpack(ctx, bytes.NewReader(tarOf(t, file("a", "x"))), Options{}); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("Unpack() = %v, want the cause", err)
	}
}

func TestPackIsTheSameForTheSameTree(t *testing.T) {
	files := func(at time.Time, mode fs.FileMode) fstest.MapFS {
		return fstest.MapFS{
			"b.yaml": {Data: []byte("b"), ModTime: at, Mode: mode}, "a/x.sh": {Data: []byte("x"), ModTime: at, Mode: 0o700},
			"a/" + strings.Repeat("n", 150): {Data: []byte("long"), ModTime: at}, ".git/HEAD": {Data: []byte(at.String())},
			"notes.txt": {Data: []byte("n")}, "link": {Mode: fs.ModeSymlink, Data: []byte("b.yaml")}, ".sourceignore": {Data: []byte("notes.txt")},
		}
	}
	pack := func(f fs.FS) ([]byte, Packed) {
		var out bytes.Buffer
		p, err := Pack(t.Context(), &out, f, "")
		if err != nil {
			t.Fatal(err)
		}
		return out.Bytes(), p
	}
	first, packed := pack(files(time.Unix(1, 0), 0o644))
	second, _ := pack(files(time.Unix(2e9, 0), 0o600))
	if !bytes.Equal(first, second) {
		t.Error("the bytes depend on times or on who may read")
	}
	if diff := cmp.Diff(Packed{Files: 4, Bytes: 15, LeftOut: []string{"link"}}, packed); diff != "" {
		t.Errorf("packed (-want +got):\n%s", diff)
	}
	got, err := Unpack(t.Context(), bytes.NewReader(first), Options{All: true})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	wantFiles := map[string]string{"b.yaml": "b", "a/x.sh": "x", "a/" + strings.Repeat("n", 150): "long", ".sourceignore": "notes.txt"}
	if diff := cmp.Diff(wantFiles, contentsOf(t, got)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if info, err := got.Stat("a/x.sh"); err != nil || info.Mode() != 0o755 {
		t.Errorf("mode: %v, %v", info, err)
	}
}

func FuzzUnpack(f *testing.F) {
	plain := tarOf(f, file("a.yaml", "a"), link(tar.TypeSymlink, "l", "a.yaml"), file(".sourceignore", "*.txt"), file("x.txt", "x"))
	f.Add(plain)
	f.Add(gzipped(f, plain))
	f.Add(tarOf(f, file(strings.Repeat("long/", 60)+"name", "x")))
	f.Add(tarOf(f, link(tar.TypeLink, "h", "/etc/passwd")))
	dir := f.TempDir()
	limits := Limits{Entries: 100, FileBytes: 1 << 16, Bytes: 1 << 18, Ratio: 100, RatioFrom: 1 << 16}
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := Unpack(t.Context(), bytes.NewReader(raw), Options{TempDir: dir, Limits: limits})
		if err != nil {
			if !errors.Is(err, ErrRefused) {
				t.Fatalf("Unpack() = %v, which is no refusal", err)
			}
			return
		}
		defer got.Close()
		total := 0
		for name, content := range contentsOf(t, got) {
			if tree.CheckPath(name) != nil {
				t.Errorf("a name that is not allowed: %q", name)
			}
			total += len(content)
		}
		if int64(total) > limits.Bytes {
			t.Errorf("%d bytes", total)
		}
	})
}
