package git

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"

	"slipway.dev/slipway/sources/git/pack"
	"slipway.dev/slipway/sources/git/wire"
	"slipway.dev/slipway/sources/tree"
)

// Options narrow what a fetched tree shows, and say what must hold before it is.
type Options struct {
	// Ignore are lines in the syntax of a .gitignore file. They are applied after the defaults, which leave out
	// version control files and disk images, and after the .sourceignore files of the tree.
	Ignore string
	// Sparse are directories; when there are any, only files below them are shown and, where the server can do it,
	// transferred.
	Sparse []string
	// Submodules brings those of the same host too.
	Submodules bool
	// Verify is called with the commit, and the tag that led to it, before any file is looked at. Its error ends the
	// fetch and is returned as it is.
	Verify func(Objects) error
}

// Objects are what signatures are made on, as they stand in the repository.
type Objects struct {
	// Commit as Git stores it.
	Commit []byte
	// Tag is the annotated tag as Git stores it; nil when none led to the commit.
	Tag []byte
}

// Fetch brings the files of one commit, without history. The tree reads from packs on disk, which go when the tree is
// closed (it implements io.Closer) or collected.
func (c *Client) Fetch(ctx context.Context, remote Remote, revision Revision, options Options) (fs.FS, error) {
	const op = "fetch"
	show, err := newFilter(options)
	if err != nil {
		return nil, remote.errorf(op, ErrRefused, "%s", err)
	}
	ctx, cancel := context.WithTimeout(ctx, remote.timeout())
	defer cancel()
	f := &checkout{client: c, options: options, show: show, left: c.limits.Entries}
	t, err := f.run(ctx, remote, revision)
	if err != nil {
		return nil, errors.Join(remote.fail(op, err), f.Close())
	}
	return t, nil
}

// checkout gathers the files of a commit, and of the submodules in it.
type checkout struct {
	client  *Client
	options Options
	show    *filter
	repos   []*objects
	entries []tree.Entry
	blobs   map[string]blob
	left    int // entries that may still be met
	modules int // submodules so far
}

// blob is where the content of a file stands.
type blob struct {
	repo *objects
	hash pack.Hash
}

// Close removes all packs.
func (f *checkout) Close() error {
	var errs []error
	for _, r := range f.repos {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

func (f *checkout) run(ctx context.Context, remote Remote, revision Revision) (fs.FS, error) {
	f.blobs = map[string]blob{}
	if err := f.repository(ctx, remote, revision, place{verify: f.options.Verify}); err != nil {
		return nil, err
	}
	files, err := tree.New(f.entries, f.open)
	if err != nil {
		return nil, fmt.Errorf("read files of commit %s: %w", revision.Commit, err)
	}
	t := &checkedOut{FS: files, files: f}
	runtime.AddCleanup(t, func(repos []*objects) {
		for _, r := range repos {
			_ = r.Close()
		}
	}, f.repos)
	return t, nil
}

// checkedOut is a tree that keeps its packs.
type checkedOut struct {
	*tree.FS
	files *checkout
}

// Close removes the packs that the tree reads from.
func (t *checkedOut) Close() error { return t.files.Close() }

// place is where a repository's files go: the root, or a submodule's directory.
type place struct {
	dir    string
	depth  int
	verify func(Objects) error
}

// repository fetches one commit and lists its files.
func (f *checkout) repository(ctx context.Context, remote Remote, revision Revision, at place) error {
	s, err := f.client.open(ctx, "fetch", remote)
	if err != nil {
		return err
	}
	defer s.Close()
	repo, err := f.client.newObjects()
	if err != nil {
		return err
	}
	f.repos = append(f.repos, repo)
	if err := repo.bring(ctx, s, revision, f.filter(s)); err != nil {
		return s.fail("fetch", err)
	}
	if at.verify != nil {
		signed, err := repo.signed(revision)
		if err != nil {
			return s.fail("fetch", err)
		}
		if err := at.verify(signed); err != nil {
			return &verification{err}
		}
	}
	modules, err := f.list(ctx, s, repo, revision.Commit, at)
	if err != nil {
		return s.fail("fetch", err)
	}
	s.Close()
	return f.descend(ctx, remote, modules, at)
}

// verification is an error of the caller's own.
type verification struct{ error }

func (e *verification) Unwrap() error { return e.error }

// filter says what the server may leave out: all files when few are wanted, else only those that are too large.
func (f *checkout) filter(s *session) string {
	switch {
	case !s.Filters() || !s.GivesAny():
		return ""
	case len(f.show.sparse) > 0:
		return "blob:none"
	}
	return fmt.Sprintf("blob:limit=%d", f.client.limits.File+1)
}

// bring fetches a commit: by itself, which not every server allows, or within the history of its reference. A server
// that does not know a commit answers in words that differ from server to server, so whatever is not a known failure
// only means that the next way is tried.
func (o *objects) bring(ctx context.Context, s *session, revision Revision, filter string) error {
	o.lazy = filter == "blob:none"
	want := revision.Commit
	if revision.Tag != "" {
		want = revision.Tag
	}
	err := o.receive(ctx, s, wire.Request{Wants: []string{want}, Depth: 1, Filter: filter})
	if err == nil && o.has(revision.Commit) {
		return nil
	}
	if decisive(err) {
		return err
	}
	return o.dig(ctx, s, revision, filter)
}

// dig looks for a commit in the history of its reference.
func (o *objects) dig(ctx context.Context, s *session, revision Revision, filter string) error {
	again, err := s.reopen(ctx)
	if err != nil {
		return err
	}
	defer again.Close()
	var tips []string
	for _, name := range candidates(revision.Ref) {
		refs, err := again.Refs(ctx, name)
		if err != nil {
			return err //nolint:wrapcheck // classified by the caller
		}
		if ref, found := advertise(refs)[name]; found {
			tips = append(tips, ref.Hash)
		}
	}
	if len(tips) == 0 {
		return s.remote.errorf("fetch", ErrNotFound, "the server has no commit %s or gives out no bare commits; name the branch that has it as well", revision.Commit)
	}
	err = o.receive(ctx, again, wire.Request{Wants: tips[:1], Filter: filter})
	switch {
	case decisive(err):
		return err
	case err != nil || !o.has(revision.Commit):
		return s.remote.errorf("fetch", ErrMoved, "%s no longer has the commit %s", revision.Ref, revision.Commit)
	}
	return nil
}

// reopen begins another conversation: over SSH one ends with the server's first refusal.
func (s *session) reopen(ctx context.Context) (*session, error) {
	return s.client.open(ctx, "fetch", s.remote)
}

// decisive reports whether an error ends the search for a commit.
func decisive(err error) bool {
	if err == nil {
		return false
	}
	_, kind := classify(err)
	for _, k := range []error{ErrAuth, ErrRefused} {
		if errors.Is(kind, k) {
			return true
		}
	}
	var said *wire.RemoteError
	return errors.Is(kind, ErrUnreachable) && !errors.As(err, &said) || errors.Is(err, errLocal) || errors.Is(err, context.Canceled)
}

// candidates are the full names that a short one may stand for.
func candidates(ref string) []string {
	switch {
	case ref == "":
		return nil
	case ref == "HEAD", strings.HasPrefix(ref, "refs/"):
		return []string{ref}
	}
	return []string{heads + ref, tags + ref}
}

// signed returns the objects that may bear a signature.
func (o *objects) signed(revision Revision) (Objects, error) {
	commit, err := o.text(revision.Commit, pack.Commit)
	if err != nil || revision.Tag == "" {
		return Objects{Commit: commit}, err
	}
	tag, err := o.text(revision.Tag, pack.Tag)
	return Objects{Commit: commit, Tag: tag}, err
}
