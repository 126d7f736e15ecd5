package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"

	"slipway.dev/slipway/sources/tree"
)

// Options narrow what a fetched tree shows.
type Options struct {
	// Ignore are lines in the syntax of a .gitignore file. They are applied after the defaults, which leave out
	// version control files and disk images, and after the .sourceignore files of the tree.
	Ignore string
	// Sparse are directories; when there are any, only files below them are shown.
	Sparse []string
}

// fetched is where the commit lands in our own storage.
const fetched = "refs/heads/fetched"

// errLocal marks a failure on our side.
var errLocal = errors.New("keep pack on disk")

var errPackTooLarge = errors.New("the pack is too large; disk images belong in a registry, not in the source")

// Fetch brings the files of one commit, without history. The tree reads from a pack on disk, which goes when the tree
// is closed (it implements io.Closer) or collected.
func (c *Client) Fetch(ctx context.Context, remote Remote, revision Revision, options Options) (fs.FS, error) {
	const op = "fetch"
	show, err := newFilter(options)
	if err != nil {
		return nil, remote.errorf(op, ErrRefused, "%s", err)
	}
	p, err := c.bring(ctx, remote, revision)
	if err != nil {
		return nil, err
	}
	t, err := p.tree(revision.Commit, show)
	if err != nil {
		return nil, errors.Join(remote.fail(op, err), p.Close())
	}
	return t, nil
}

// attempt is one way to get at a commit.
type attempt struct {
	source string // commit or reference
	depth  int
}

// attempts are the ways to get at a commit, the cheapest first: by itself, which not every server allows; as the tip
// of its reference; within the history of its reference.
func attempts(revision Revision) []attempt {
	list := []attempt{{revision.Commit, 1}}
	for _, name := range candidates(revision.Ref) {
		list = append(list, attempt{"+" + name, 1}, attempt{"+" + name, 0})
	}
	return list
}

// bring fetches a commit. A server that does not know the commit answers in words that differ from server to server,
// so whatever is not a known failure only means that the next way is tried.
func (c *Client) bring(ctx context.Context, remote Remote, revision Revision) (*pack, error) {
	var found bool
	for _, a := range attempts(revision) {
		p, err := c.try(ctx, remote, revision.Commit, a)
		if p != nil || decisive(err) {
			return p, err
		}
		found = found || err == nil
	}
	if found {
		return nil, remote.errorf("fetch", ErrMoved, "%s no longer has the commit %s", revision.Ref, revision.Commit)
	}
	return nil, remote.errorf("fetch", ErrNotFound, "the server has no commit %s or gives out no bare commits; name the branch that has it as well", revision.Commit)
}

// decisive reports whether an error ends the search for a commit.
func decisive(err error) bool {
	for _, kind := range []error{ErrAuth, ErrUnreachable, ErrRefused, errLocal, context.Canceled} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// try fetches in one way. It returns no pack and no error when the commit was not among what came.
func (c *Client) try(ctx context.Context, remote Remote, commit string, a attempt) (*pack, error) {
	p, err := c.newPack()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLocal, err)
	}
	over, err := c.fetchInto(ctx, remote, p, config.RefSpec(a.source+":"+fetched), a.depth)
	if err == nil && p.HasEncodedObject(plumbing.NewHash(commit)) == nil {
		return p, nil
	}
	return nil, errors.Join(err, p.closeAfter(over))
}

// candidates are the full names that a short one may stand for.
func candidates(ref string) []string {
	switch {
	case ref == "":
		return nil
	case ref == "HEAD", strings.HasPrefix(ref, "refs/"):
		return []string{ref}
	}
	return []string{plumbing.NewBranchReferenceName(ref).String(), plumbing.NewTagReferenceName(ref).String()}
}

// pack is a bare repository in a temporary directory.
type pack struct {
	*filesystem.Storage
	dir     string
	maxSize int64
	remove  func() error
	mu      sync.Mutex // go-git's storage is not made for concurrent readers
}

func (c *Client) newPack() (*pack, error) {
	if c.temp != "" {
		if err := os.MkdirAll(c.temp, 0o700); err != nil {
			return nil, fmt.Errorf("make directory for packs: %w", err)
		}
	}
	dir, err := os.MkdirTemp(c.temp, packPrefix)
	if err != nil {
		return nil, fmt.Errorf("make directory for a pack: %w", err)
	}
	p := &pack{
		Storage: filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(8*cache.MiByte), filesystem.Options{KeepDescriptors: true}),
		dir:     dir,
		maxSize: c.maxPack,
		remove:  sync.OnceValue(func() error { return os.RemoveAll(dir) }),
	}
	if err := p.Init(); err != nil {
		return nil, errors.Join(fmt.Errorf("make storage for a pack: %w", err), p.Close())
	}
	return p, nil
}

// Close removes the pack.
func (p *pack) Close() error {
	if err := errors.Join(p.Storage.Close(), p.remove()); err != nil {
		return fmt.Errorf("remove pack: %w", err)
	}
	return nil
}

// closeAfter is Close that does not pull the storage away from a transfer which has not noticed yet that its time is up.
func (p *pack) closeAfter(over <-chan struct{}) error {
	select {
	case <-over:
		return p.Close()
	default:
		go func() {
			<-over
			_ = p.Close() // what is left is swept by the next NewClient
		}()
		return nil
	}
}

// PackfileWriter limits what go-git writes to disk.
func (p *pack) PackfileWriter() (io.WriteCloser, error) {
	w, err := p.Storage.PackfileWriter()
	if err != nil {
		return nil, err //nolint:wrapcheck // passed through to go-git
	}
	return &limitedWriter{WriteCloser: w, left: p.maxSize}, nil
}

type limitedWriter struct {
	io.WriteCloser
	left int64
}

func (w *limitedWriter) Write(b []byte) (int, error) {
	w.left -= int64(len(b))
	if w.left < 0 {
		return 0, errPackTooLarge
	}
	return w.WriteCloser.Write(b) //nolint:wrapcheck // a writer returns what it got
}

// packTree is a tree that keeps its pack.
type packTree struct {
	*tree.FS
	pack *pack
}

// Close removes the pack that the tree reads from.
func (t *packTree) Close() error { return t.pack.Close() }

func (p *pack) tree(commit string, show *filter) (fs.FS, error) {
	c, err := object.GetCommit(p, plumbing.NewHash(commit))
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", commit, err)
	}
	w := &walk{pack: p, show: show, hashes: map[string]plumbing.Hash{}}
	if err := w.directory("", c.TreeHash); err != nil {
		return nil, err
	}
	files, err := tree.New(w.entries, w.open)
	if err != nil {
		return nil, fmt.Errorf("read files of commit %s: %w", commit, err)
	}
	t := &packTree{FS: files, pack: p}
	runtime.AddCleanup(t, func(remove func() error) { _ = remove() }, p.remove)
	return t, nil
}
