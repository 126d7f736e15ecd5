package git

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway.dev/slipway/sources/git/pack"
	"slipway.dev/slipway/sources/tree"
)

func TestParseModules(t *testing.T) {
	tests := map[string]struct {
		text string
		want map[string]string // nil when refused
	}{
		"usual":           {"[submodule \"a\"]\n\tpath = libs/a\n\turl = ../a.git\n\tbranch = main\n[submodule \"b\"]\npath=b\nurl=https://host/b # b\n", map[string]string{"libs/a": "../a.git", "b": "https://host/b"}},
		"quoted":          {"[submodule \"a\"]\npath = \"a b\"\nurl = \"x\\\\y\"\n", map[string]string{"a b": `x\y`}},
		"empty":           {"", map[string]string{}},
		"no url":          {"[submodule \"a\"]\npath = a\n", map[string]string{}},
		"climbs":          {"[submodule \"a\"]\npath = ../a\nurl = x\n", nil},
		"not clean":       {"[submodule \"a\"]\npath = a/../b\nurl = x\n", nil},
		"absolute":        {"[submodule \"a\"]\npath = /a\nurl = x\n", nil},
		"option":          {"[submodule \"a\"]\npath = a\nurl = -u./payload\n", nil},
		"option as path":  {"[submodule \"a\"]\npath = a\nurl = \"--x\"\n", nil},
		"goes on":         {"[submodule \"a\"]\npath = a\\\nurl = x\n", nil},
		"open quote":      {"[submodule \"a\"]\npath = \"a\nurl = x\n", nil},
		"control":         {"[submodule \"a\"]\npath = a\nurl = x\x01y\n", nil},
		"carriage return": {"[submodule \"a\"]\r\npath = a\r\nurl = x\r\n", map[string]string{"a": "x"}},
		"too long":        {strings.Repeat("#", maxModulesFile+1), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseModules([]byte(test.text))
			if test.want == nil {
				if !errors.Is(err, ErrRefused) {
					t.Errorf("parseModules() = %v, %v, want ErrRefused", got, err)
				}
				return
			}
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestResolveModule(t *testing.T) {
	tests := map[string]struct{ home, raw, want string }{
		"beside":         {"https://host/team/app.git", "../lib.git", "https://host/team/lib.git"},
		"below":          {"https://host/team/app.git", "./lib.git", "https://host/team/app.git/lib.git"},
		"above":          {"https://host/team/app.git", "../../lib.git", "https://host/lib.git"},
		"out":            {"https://host/team/app.git", "../../../lib.git", ""},
		"scp":            {"ssh://git@host/team/app.git", "git@host:team/lib.git", "ssh://git@host/team/lib.git"},
		"scp, absolute":  {"ssh://git@host/team/app.git", "git@host:/team/lib.git", "ssh://git@host/team/lib.git"},
		"scp on HTTPS":   {"https://host/team/app.git", "git@host:team/lib.git", ""},
		"option in scp":  {"ssh://git@host/team/app.git", "-oProxyCommand=x", ""},
		"keeps no query": {"https://host/team/app.git?token=x", "../lib.git", "https://host/team/lib.git"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			home, err := url.Parse(test.home)
			if err != nil {
				t.Fatal(err)
			}
			got, err := resolveModule(home, test.raw)
			if test.want == "" {
				if err == nil {
					t.Errorf("got %s, want an error", got)
				}
				return
			}
			if err != nil || got.String() != test.want {
				t.Errorf("got %v, %v, want %s", got, err, test.want)
			}
		})
	}
}

func FuzzModules(f *testing.F) {
	f.Add([]byte("[submodule \"a\"]\n\tpath = libs/a\n\turl = ../a.git\n"))
	f.Add([]byte("path = \"a\\\\\"\nurl = https://host/x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		urls, err := parseModules(text)
		if err != nil && !errors.Is(err, ErrRefused) {
			t.Fatalf("an error of another kind: %v", err)
		}
		remote := Remote{URL: "https://git.example/team/app.git"}
		for dir, from := range urls {
			if clean, err := tree.Resolve(".", dir); err != nil || clean != dir {
				t.Errorf("the path %q", dir)
			}
			m, err := remote.module(module{dir: dir, url: from})
			if err != nil {
				continue
			}
			if u, err := m.check("fetch"); err != nil || u.Scheme != "https" || u.Hostname() != "git.example" || u.User != nil {
				t.Errorf("%q leads to %s", from, m.URL)
			}
		}
	})
}

func FuzzTree(f *testing.F) {
	f.Add([]byte("100644 a\x0012345678901234567890"), "a")
	f.Add([]byte("40000 .git\x0012345678901234567890"), ".GIT::$INDEX_ALLOCATION")
	f.Fuzz(func(t *testing.T, raw []byte, name string) {
		files, err := parseTree(raw)
		if err != nil && !errors.Is(err, pack.ErrMalformed) {
			t.Fatal(err)
		}
		length := 0
		for _, f := range files {
			length += len(f.mode) + 1 + len(f.name) + 1 + len(f.hash)
		}
		if err == nil && length != len(raw) {
			t.Errorf("%d of %d bytes were read", length, len(raw))
		}
		if checkName(name) == nil && (strings.ContainsAny(name, "/\\\x00\n") || strings.EqualFold(name, ".git") || name == ".." || name == "") {
			t.Errorf("%q is allowed", name)
		}
	})
}

func FuzzRefs(f *testing.F) {
	f.Add("refs/heads/main", ">=1.0", "main@sha1:"+strings.Repeat("a", 40))
	f.Add("refs/heads/../x", "1.x || 2", "@")
	f.Fuzz(func(t *testing.T, name, constraint, revision string) {
		if problem(name) == "" && (strings.Contains(name, "..") || strings.ContainsAny(name, " \x00\n~^:?*[\\") || strings.HasPrefix(name, "-")) {
			t.Errorf("the name %q is allowed", name)
		}
		_, _ = advertised{"refs/tags/" + name: {Name: "refs/tags/" + name, Hash: strings.Repeat("a", 40)}}.highest(constraint)
		if r, err := ParseRevision(revision); err == nil && r.String() != revision {
			t.Errorf("%q became %q", revision, r)
		}
	})
}
