package notes

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"
)

// The notes of a reference are a tree of blobs whose paths spell the commit. Small trees are flat; git itself splits
// large ones into directories named by two digits ("fan-out"), at any depth, and reads any mixture of both.

// entry returns the entry of a tree that leads to a commit: the note itself, or a directory of the fan-out.
func entry(t *object.Tree, rest string) *object.TreeEntry {
	for i, e := range t.Entries {
		isNote := e.Name == rest && e.Mode.IsFile()
		isFanOut := e.Mode == filemode.Dir && len(rest) > 2 && e.Name == rest[:2]
		if isNote || isFanOut {
			return &t.Entries[i]
		}
	}
	return nil
}

// note returns the text of a commit's note, or nil.
func (b *book) note(commit string) ([]byte, error) {
	t, rest := b.root, commit
	for {
		e := entry(t, rest)
		if e == nil {
			return nil, nil
		}
		if e.Mode != filemode.Dir {
			return b.read(e.Hash)
		}
		next, err := object.GetTree(b.storage, e.Hash)
		if err != nil {
			return nil, fmt.Errorf("read directory %s of notes: %w", e.Name, err)
		}
		t, rest = next, rest[2:]
	}
}

func (b *book) read(hash plumbing.Hash) ([]byte, error) {
	blob, err := object.GetBlob(b.storage, hash)
	if err != nil {
		return nil, fmt.Errorf("find note: %w", err)
	}
	r, err := blob.Reader()
	if err != nil {
		return nil, fmt.Errorf("open note: %w", err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read note: %w", err)
	}
	if text == nil {
		text = []byte{}
	}
	return text, nil
}

// with stores a copy of a tree in which a commit has a note, and returns it. The fan-out stays as it is.
func (b *book) with(t *object.Tree, rest string, note plumbing.Hash) (plumbing.Hash, error) {
	changed := &object.Tree{Entries: slices.Clone(t.Entries)}
	switch e := entry(changed, rest); {
	case e == nil:
		changed.Entries = append(changed.Entries, object.TreeEntry{Name: rest, Mode: filemode.Regular, Hash: note})
	case e.Mode != filemode.Dir:
		e.Hash = note
	default:
		below, err := object.GetTree(b.storage, e.Hash)
		if err != nil {
			return plumbing.ZeroHash, fmt.Errorf("read directory %s of notes: %w", e.Name, err)
		}
		if e.Hash, err = b.with(below, rest[2:], note); err != nil {
			return plumbing.ZeroHash, err
		}
	}
	slices.SortFunc(changed.Entries, func(a, b object.TreeEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	return store(b.storage, changed.Encode)
}

// sortName is the name that Git sorts a tree by: a directory counts as if it ended in a slash.
func sortName(e object.TreeEntry) string {
	if e.Mode == filemode.Dir {
		return e.Name + "/"
	}
	return e.Name
}

func store(s *memory.Storage, encode func(plumbing.EncodedObject) error) (plumbing.Hash, error) {
	o := s.NewEncodedObject()
	if err := encode(o); err != nil {
		return plumbing.ZeroHash, fmt.Errorf("encode object: %w", err)
	}
	hash, err := s.SetEncodedObject(o)
	if err != nil {
		return plumbing.ZeroHash, fmt.Errorf("store object: %w", err)
	}
	return hash, nil
}
