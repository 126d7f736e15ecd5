package notes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"
	"k8s.io/utils/clock"

	"slipway.dev/slipway/sources/git"
)

// Ref is where Slipway's own notes stand.
const Ref = "refs/notes/slipway"

// attempts bounds how often a push is tried again after somebody else's came first.
const attempts = 5

var fullSHA1 = regexp.MustCompile(`^[0-9a-f]{40}$`)

// Notes reads and writes notes. It is safe for concurrent use.
type Notes struct {
	client *git.Client
	clock  clock.PassiveClock
}

// New returns Notes that talk through a client.
func New(client *git.Client) *Notes { return &Notes{client: client, clock: clock.RealClock{}} }

// Append gives a commit a note, in place of the one it has. When others write notes at the same time, theirs are kept.
func (n *Notes) Append(ctx context.Context, remote git.Remote, ref, commit string, text []byte) error {
	if err := check(ref, commit); err != nil {
		return err
	}
	var err error
	for range attempts {
		err = n.try(ctx, remote, ref, commit, text)
		if !errors.Is(err, git.ErrMoved) {
			return err
		}
	}
	return fmt.Errorf("add note to %s: gave up after %d attempts: %w", commit, attempts, err)
}

// Read returns the note of a commit. A commit without one is git.ErrNotFound.
func (n *Notes) Read(ctx context.Context, remote git.Remote, ref, commit string) ([]byte, error) {
	if err := check(ref, commit); err != nil {
		return nil, err
	}
	b, err := n.fetch(ctx, remote, ref)
	if err != nil {
		return nil, err
	}
	text, err := b.note(commit)
	if err != nil {
		return nil, fmt.Errorf("read note of %s: %w", commit, err)
	}
	if text == nil {
		return nil, fmt.Errorf("read note of %s: it has none: %w", commit, git.ErrNotFound)
	}
	return text, nil
}

func check(ref, commit string) error {
	if !strings.HasPrefix(ref, "refs/notes/") || plumbing.ReferenceName(ref).Validate() != nil {
		return fmt.Errorf("use notes of %q: the reference must begin with refs/notes/: %w", ref, git.ErrRefused)
	}
	if !fullSHA1.MatchString(commit) {
		return fmt.Errorf("use note of %q: a full SHA-1 is needed: %w", commit, git.ErrRefused)
	}
	return nil
}

// book is one state of a notes reference.
type book struct {
	storage *memory.Storage
	tip     plumbing.Hash // zero when there are no notes yet
	root    *object.Tree
}

// fetch brings the notes of a remote, without their history.
func (n *Notes) fetch(ctx context.Context, remote git.Remote, ref string) (*book, error) {
	b := &book{storage: memory.NewStorage(), root: &object.Tree{}}
	err := n.client.FetchInto(ctx, remote, b.storage, config.RefSpec("+"+ref+":"+ref), 1)
	if errors.Is(err, git.ErrNotFound) {
		return b, nil
	}
	if err != nil {
		return nil, fmt.Errorf("fetch notes: %w", err)
	}
	tip, err := b.storage.Reference(plumbing.ReferenceName(ref))
	if err != nil {
		return nil, fmt.Errorf("find notes: %w", err)
	}
	commit, err := object.GetCommit(b.storage, tip.Hash())
	if err != nil {
		return nil, fmt.Errorf("read commit of notes: %w", err)
	}
	b.tip = tip.Hash()
	if b.root, err = object.GetTree(b.storage, commit.TreeHash); err != nil {
		return nil, fmt.Errorf("read notes: %w", err)
	}
	return b, nil
}

func (n *Notes) try(ctx context.Context, remote git.Remote, ref, commit string, text []byte) error {
	b, err := n.fetch(ctx, remote, ref)
	if err != nil {
		return err
	}
	old, err := b.note(commit)
	if err != nil {
		return fmt.Errorf("read note of %s: %w", commit, err)
	}
	if old != nil && bytes.Equal(old, text) {
		return nil
	}
	tip, err := n.write(b, commit, text)
	if err != nil {
		return fmt.Errorf("write note of %s: %w", commit, err)
	}
	if err := b.storage.SetReference(plumbing.NewHashReference(plumbing.ReferenceName(ref), tip)); err != nil {
		return fmt.Errorf("write note of %s: %w", commit, err)
	}
	return n.push(ctx, remote, ref, b)
}

// push sends the new tip. A server that says no may have done so because somebody else was faster: when the reference
// is not where it was, that is ErrMoved.
func (n *Notes) push(ctx context.Context, remote git.Remote, ref string, b *book) error {
	err := n.client.Push(ctx, remote, b.storage, config.RefSpec(ref+":"+ref))
	if err == nil {
		return nil
	}
	now, readErr := n.fetch(ctx, remote, ref)
	if readErr == nil && now.tip != b.tip {
		return fmt.Errorf("push notes: %w: %w", git.ErrMoved, err)
	}
	return fmt.Errorf("push notes: %w", err)
}

// write stores a new state of the notes and returns its commit.
func (n *Notes) write(b *book, commit string, text []byte) (plumbing.Hash, error) {
	blob, err := store(b.storage, func(o plumbing.EncodedObject) error {
		o.SetType(plumbing.BlobObject)
		w, err := o.Writer()
		if err != nil {
			return fmt.Errorf("open blob: %w", err)
		}
		_, err = w.Write(text)
		return errors.Join(err, w.Close())
	})
	if err != nil {
		return plumbing.ZeroHash, err
	}
	root, err := b.with(b.root, commit, blob)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	who := object.Signature{Name: "Slipway", Email: "slipway@slipway.dev", When: n.clock.Now()}
	c := &object.Commit{Author: who, Committer: who, TreeHash: root, Message: "Note the health of " + commit + "\n"}
	if !b.tip.IsZero() {
		c.ParentHashes = []plumbing.Hash{b.tip}
	}
	return store(b.storage, c.Encode)
}
