package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"slipway.dev/slipway/sources/tree"
)

// Is reports whether a file holds a tar archive, compressed or not. It leaves the file at its beginning.
func Is(file io.ReadSeeker) bool {
	defer file.Seek(0, io.SeekStart) //nolint:errcheck // reading it on fails then, too
	packed := &counter{in: file}
	plain, err := decompress(packed)
	if err != nil {
		return false
	}
	defer plain.Close() //nolint:errcheck // a reader has nothing to lose when it is closed
	_, err = tar.NewReader(&bounded{in: plain, packed: packed, limits: DefaultLimits}).Next()
	return err == nil || errors.Is(err, io.EOF) && packed.n > 0
}

// Single makes a tree of one file.
func Single(tempDir, name string, content io.Reader) (*Tree, error) {
	spool, err := newSpool(tempDir)
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(spool, io.LimitReader(content, DefaultLimits.FileBytes+1))
	switch {
	case err != nil:
		err = fmt.Errorf("keep %s: %w", name, err)
	case n > DefaultLimits.FileBytes:
		err = refused("%q has more than %d bytes; disk images belong in a registry, not in the source", name, DefaultLimits.FileBytes)
	}
	if err != nil {
		_ = spool.Close()
		return nil, err
	}
	files, err := tree.New([]tree.Entry{{Path: name, Mode: fs.FileMode(0o644), Size: n}}, func(tree.Entry) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(spool, 0, n)), nil
	})
	if err != nil {
		_ = spool.Close()
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return &Tree{FS: files, spool: spool}, nil
}
