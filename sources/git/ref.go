package git

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"slipway.dev/slipway/sources/git/wire"
)

// Where the references of branches and tags stand.
const (
	heads = "refs/heads/"
	tags  = "refs/tags/"
)

// errNoRef says that a server does not have a reference.
var errNoRef = errors.New("the repository has no")

// Ref names what to fetch. The first field that is set wins, in the order Commit, Name, SemVer, Tag, Branch; an empty
// Ref is the remote's HEAD.
type Ref struct {
	// Branch and Tag are short names.
	Branch, Tag string
	// SemVer is a range; the highest tag in it is meant.
	SemVer string
	// Name is a full reference name such as refs/pull/1/head.
	Name string
	// Commit is a full SHA-1. Branch, when set too, is where to look for it if the server gives out no bare commits.
	Commit string
}

// Revision is a commit and the reference it was found by.
type Revision struct {
	// Ref is a short branch or tag name, a full reference name, or empty when only a commit was asked for.
	Ref string
	// Commit is a full SHA-1 in lower case.
	Commit string
	// Tag is the full SHA-1 of the annotated tag that led to the commit; empty when none did.
	Tag string
}

const commitSeparator = "sha1:"

var fullSHA1 = regexp.MustCompile(`^[0-9a-f]{40}$`)

// String is the form that stands in a status: "main@sha1:…", or "sha1:…" without a reference.
func (r Revision) String() string {
	if r.Ref == "" {
		return commitSeparator + r.Commit
	}
	return r.Ref + "@" + commitSeparator + r.Commit
}

// ParseRevision reads what Revision.String wrote.
func ParseRevision(s string) (Revision, error) {
	ref, commit := "", s
	if at := strings.LastIndex(s, "@"); at >= 0 {
		ref, commit = s[:at], s[at+1:]
	}
	commit, found := strings.CutPrefix(commit, commitSeparator)
	if !found || ref == "" && strings.HasPrefix(s, "@") || !fullSHA1.MatchString(commit) {
		return Revision{}, fmt.Errorf("parse revision %q: want <ref>@sha1:<40 hexadecimal digits>", s)
	}
	return Revision{Ref: ref, Commit: commit}, nil
}

// advertised is what a server says it has.
type advertised map[string]wire.Ref

func advertise(refs []wire.Ref) advertised {
	a := make(advertised, len(refs))
	for _, r := range refs {
		a[r.Name] = r
	}
	return a
}

// prefixes of the names that the choice depends on.
func (r Ref) prefixes() []string {
	switch {
	case r.Name != "":
		return []string{r.Name}
	case r.SemVer != "":
		return []string{tags}
	case r.Tag != "":
		return []string{tags + r.Tag}
	case r.Branch != "":
		return []string{heads + r.Branch}
	}
	return []string{"HEAD"}
}

// choose applies the precedence of Ref.
func (a advertised) choose(ref Ref) (Revision, error) {
	switch {
	case ref.Name != "":
		return a.named(ref.Name, ref.Name)
	case ref.SemVer != "":
		return a.highest(ref.SemVer)
	case ref.Tag != "":
		return a.named(tags+ref.Tag, ref.Tag)
	case ref.Branch != "":
		return a.named(heads+ref.Branch, ref.Branch)
	}
	return a.head()
}

func (a advertised) named(full, short string) (Revision, error) {
	ref, found := a[full]
	if !found {
		return Revision{}, fmt.Errorf("%w %s", errNoRef, full)
	}
	if ref.Peeled != "" {
		return Revision{Ref: short, Commit: ref.Peeled, Tag: ref.Hash}, nil
	}
	return Revision{Ref: short, Commit: ref.Hash}, nil
}

func (a advertised) head() (Revision, error) {
	ref, found := a["HEAD"]
	switch {
	case found && !fullSHA1.MatchString(ref.Hash):
		return Revision{}, fmt.Errorf("%w branch %s yet, which HEAD points to", errNoRef, ref.Target)
	case !found:
		return Revision{}, fmt.Errorf("%w HEAD; name a branch", errNoRef)
	case strings.HasPrefix(ref.Target, "refs/"):
		return Revision{Ref: short(ref.Target), Commit: ref.Hash}, nil
	}
	return Revision{Ref: "HEAD", Commit: ref.Hash}, nil
}

// short is a reference's name as people write it.
func short(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, heads), tags)
}

func (a advertised) highest(constraint string) (Revision, error) {
	wanted, err := semver.NewConstraint(constraint)
	if err != nil {
		return Revision{}, fmt.Errorf("%q is not a range of semantic versions: %w", constraint, err)
	}
	var best *semver.Version
	var tag string
	for name := range a {
		short, found := strings.CutPrefix(name, tags)
		if !found {
			continue
		}
		v, err := semver.NewVersion(short)
		if err != nil || !wanted.Check(v) {
			continue
		}
		if best == nil || v.GreaterThan(best) || v.Equal(best) && name > tag {
			best, tag = v, name
		}
	}
	if best == nil {
		return Revision{}, fmt.Errorf("no tag is in the range %q", constraint)
	}
	return a.named(tag, short(tag))
}

// suggestion lists a few branches, for whoever misspelled one.
func (a advertised) suggestion() string {
	var branches []string
	for name := range a {
		if branch, found := strings.CutPrefix(name, heads); found {
			branches = append(branches, branch)
		}
	}
	if len(branches) == 0 {
		return ""
	}
	slices.Sort(branches)
	if len(branches) > 5 {
		branches = append(branches[:5], "…")
	}
	return "; it has the branches " + strings.Join(branches, ", ")
}

// problem says why a name cannot be that of a reference, or "".
func problem(name string) string {
	bad := strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune("~^:?*[\\", r) })
	switch {
	case bad, strings.Contains(name, ".."), strings.Contains(name, "@{"), strings.Contains(name, "//"), len(name) > maxRef:
		return "has something in it that no reference's name has"
	case strings.HasPrefix(name, "/"), strings.HasSuffix(name, "/"), strings.HasSuffix(name, "."), strings.HasPrefix(name, "-"):
		return "begins or ends as no reference's name does"
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return "has a part that no reference's name has"
		}
	}
	return ""
}

// maxRef is the longest name of a reference, in bytes.
const maxRef = 1024
