package git

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/go-git/go-git/v5/plumbing"
)

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
	if !found || !fullSHA1.MatchString(commit) {
		return Revision{}, fmt.Errorf("parse revision %q: want <ref>@sha1:<40 hexadecimal digits>", s)
	}
	return Revision{Ref: ref, Commit: commit}, nil
}

// advertised is what a server says it has.
type advertised map[plumbing.ReferenceName]*plumbing.Reference

// commit returns the commit that a reference leads to; tags are peeled.
func (a advertised) commit(name plumbing.ReferenceName) (string, bool) {
	for range 5 { // HEAD → branch is the usual chain, and no server needs more
		ref, found := a[name]
		switch {
		case !found:
			return "", false
		case ref.Type() == plumbing.SymbolicReference:
			name = ref.Target()
			continue
		}
		if peeled, found := a[name+"^{}"]; found {
			return peeled.Hash().String(), true
		}
		return ref.Hash().String(), true
	}
	return "", false
}

// choose applies the precedence of Ref. The error, if any, is meant to follow "not found: ".
func (a advertised) choose(ref Ref) (Revision, error) {
	switch {
	case ref.Name != "":
		return a.named(plumbing.ReferenceName(ref.Name), ref.Name)
	case ref.SemVer != "":
		return a.highest(ref.SemVer)
	case ref.Tag != "":
		return a.named(plumbing.NewTagReferenceName(ref.Tag), ref.Tag)
	case ref.Branch != "":
		return a.named(plumbing.NewBranchReferenceName(ref.Branch), ref.Branch)
	}
	return a.head()
}

func (a advertised) named(full plumbing.ReferenceName, short string) (Revision, error) {
	commit, found := a.commit(full)
	if !found {
		return Revision{}, fmt.Errorf("the repository has no %s%s", full, a.suggestion())
	}
	return Revision{Ref: short, Commit: commit}, nil
}

func (a advertised) head() (Revision, error) {
	ref, found := a[plumbing.HEAD]
	if !found {
		return Revision{}, fmt.Errorf("the repository has no HEAD; name a branch%s", a.suggestion())
	}
	if ref.Type() == plumbing.SymbolicReference {
		return a.named(ref.Target(), ref.Target().Short())
	}
	return Revision{Ref: "HEAD", Commit: ref.Hash().String()}, nil
}

func (a advertised) highest(constraint string) (Revision, error) {
	wanted, err := semver.NewConstraint(constraint)
	if err != nil {
		return Revision{}, fmt.Errorf("%q is not a range of semantic versions: %w", constraint, err)
	}
	var best *semver.Version
	var tag plumbing.ReferenceName
	for name := range a {
		if !name.IsTag() || strings.HasSuffix(name.String(), "^{}") {
			continue
		}
		v, err := semver.NewVersion(name.Short())
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
	return a.named(tag, tag.Short())
}

// suggestion lists a few branches, for whoever misspelled one.
func (a advertised) suggestion() string {
	var branches []string
	for name := range a {
		if name.IsBranch() {
			branches = append(branches, name.Short())
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
