package tree

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func open(e Entry) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("content of " + e.Path)), nil
}

func TestTreeBehavesLikeAFileSystem(t *testing.T) {
	tr, err := New([]Entry{
		{Path: "kustomization.yaml", Mode: 0o644, Size: 29},
		{Path: "vm/web.yaml", Mode: 0o644, Size: 22},
		{Path: "vm/disks/root.yaml", Mode: 0o755, Size: 29},
	}, open)
	if err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(tr, "kustomization.yaml", "vm/web.yaml", "vm/disks/root.yaml"); err != nil {
		t.Fatal(err)
	}
}

func TestNewRefuses(t *testing.T) {
	tests := map[string][]Entry{
		"parent":            {{Path: "../etc/passwd"}},
		"absolute":          {{Path: "/etc/passwd"}},
		"not clean":         {{Path: "a//b"}},
		"empty":             {{Path: ""}},
		"root":              {{Path: "."}},
		"line feed":         {{Path: "a\nb"}},
		"not UTF-8":         {{Path: "a\xff"}},
		"too long":          {{Path: strings.Repeat("a", MaxPath+1)}},
		"twice":             {{Path: "a"}, {Path: "a"}},
		"file as directory": {{Path: "a"}, {Path: "a/b"}},
		"directory as file": {{Path: "a/b"}, {Path: "a"}},
	}
	for name, entries := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := New(entries, open); !errors.Is(err, ErrPath) {
				t.Fatalf("New() = %v, want ErrPath", err)
			}
		})
	}
}

func TestLinksAreListedAndNotFollowed(t *testing.T) {
	tests := map[string]struct {
		mode fs.FileMode
		want error
	}{
		"symbolic link": {fs.ModeSymlink, ErrSymlink},
		"submodule":     {ModeSubmodule, ErrSubmodule},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			tr, err := New([]Entry{{Path: "a/link", Mode: test.mode}}, open)
			if err != nil {
				t.Fatal(err)
			}
			list, err := tr.ReadDir("a")
			if err != nil || len(list) != 1 || list[0].Type() != test.mode {
				t.Fatalf("ReadDir() = %v, %v; want one entry of mode %v", list, err, test.mode)
			}
			for _, name := range []string{"a/link", "a/link/below"} {
				_, err := tr.Open(name)
				var pathError *fs.PathError
				if !errors.Is(err, test.want) || !errors.As(err, &pathError) || pathError.Path != "a/link" {
					t.Errorf("Open(%s) = %v, want %v for a/link", name, err, test.want)
				}
			}
		})
	}
}

func TestResolve(t *testing.T) {
	tests := map[string]struct {
		dir, ref, want string
		err            error
	}{
		"below":      {dir: "apps/web", ref: "vm.yaml", want: "apps/web/vm.yaml"},
		"beside":     {dir: "apps/web", ref: "../../base/./vm.yaml", want: "base/vm.yaml"},
		"root":       {dir: "apps", ref: "..", want: "."},
		"above":      {dir: "apps", ref: "../../etc/passwd", err: ErrEscape},
		"absolute":   {dir: "apps", ref: "/etc/passwd", err: ErrEscape},
		"just above": {dir: ".", ref: "..", err: ErrEscape},
		"control":    {dir: ".", ref: "a\x00b", err: ErrPath},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Resolve(test.dir, test.ref)
			if !errors.Is(err, test.err) {
				t.Fatalf("Resolve() = %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func FuzzResolve(f *testing.F) {
	f.Add("a/b", "../c")
	f.Add(".", "..")
	f.Add("a", "b/../../..")
	f.Fuzz(func(t *testing.T, dir, ref string) {
		if dir != "." && CheckPath(dir) != nil {
			t.Skip()
		}
		got, err := Resolve(dir, ref)
		if err != nil {
			return
		}
		if !fs.ValidPath(got) || path.Clean(got) != got || strings.HasPrefix(got, "..") && !strings.HasPrefix(got, "...") && strings.HasPrefix(got+"/", "../") {
			t.Fatalf("Resolve(%q, %q) = %q leaves the tree", dir, ref, got)
		}
	})
}
