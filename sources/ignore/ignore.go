package ignore

import (
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// File is read in each directory of a tree, as Flux does.
const File = ".sourceignore"

// Rules decide which paths of a tree are shown. They are not safe for concurrent use while Add is called.
type Rules struct {
	patterns []gitignore.Pattern // of the tree's own files, as they are met
	last     []gitignore.Pattern // of the spec, which come last and so win
}

// New returns the default rules, overruled by the lines of a spec.
func New(lines string) *Rules {
	return &Rules{patterns: parse(defaults(), nil), last: parse(lines, nil)}
}

// Add takes the lines of a .sourceignore in the directory dir; "" and "." are the root.
func (r *Rules) Add(dir, lines string) {
	var domain []string
	if dir != "" && dir != "." {
		domain = strings.Split(dir, "/")
	}
	r.patterns = append(r.patterns, parse(lines, domain)...)
}

// Clone returns rules to which more can be added without changing these.
func (r *Rules) Clone() *Rules {
	return &Rules{patterns: slices.Clone(r.patterns), last: r.last}
}

// defaults leave out version control and disk images, compressed or not.
func defaults() string {
	lines := []string{".git", ".gitignore", ".gitmodules", ".gitattributes", ".hg", ".svn"}
	for _, image := range []string{"qcow2", "qcow", "raw", "img", "iso", "vmdk", "vhd", "vhdx", "vdi", "ova", "wim"} {
		lines = append(lines, "*."+image)
		for _, compression := range []string{"gz", "xz", "zst", "bz2"} {
			lines = append(lines, "*."+image+"."+compression)
		}
	}
	return strings.Join(lines, "\n")
}

func parse(text string, domain []string) []gitignore.Pattern {
	var patterns []gitignore.Pattern
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		patterns = append(patterns, gitignore.ParsePattern(line, domain))
	}
	return patterns
}

// Shows reports whether a path is shown. Whoever walks a tree asks for each directory first and for nothing below one
// that is not shown.
func (r *Rules) Shows(name string, isDir bool) bool {
	parts := strings.Split(name, "/")
	if result, decided := match(r.last, parts, isDir); decided {
		return result
	}
	result, _ := match(r.patterns, parts, isDir)
	return result
}

// match applies patterns, the last that says anything winning.
func match(patterns []gitignore.Pattern, parts []string, isDir bool) (show, decided bool) {
	for i := len(patterns) - 1; i >= 0; i-- {
		result := patterns[i].Match(parts, isDir)
		if result == gitignore.NoMatch || inherited(patterns[i], parts, result) {
			continue
		}
		return result == gitignore.Include, true
	}
	return true, false
}

// inherited reports whether a pattern matches a path only because it matches a directory above it. That directory was
// decided on its own, so it says nothing about the path.
func inherited(p gitignore.Pattern, parts []string, result gitignore.MatchResult) bool {
	return len(parts) > 1 && p.Match(parts[:len(parts)-1], true) == result
}
