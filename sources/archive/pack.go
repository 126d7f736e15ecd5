package archive

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"slipway.dev/slipway/sources/ignore"
	"slipway.dev/slipway/sources/tree"
)

// Packed says what went into an archive.
type Packed struct {
	// Files and Bytes that went in.
	Files int
	Bytes int64
	// LeftOut are the symbolic links and special files that did not.
	LeftOut []string
}

// Pack writes a tree as a gzipped tar: the same bytes for the same tree, wherever and whenever. Lines are ignore rules
// that come after the defaults and those of the tree. Symbolic links are left out, as no reader follows them.
func Pack(ctx context.Context, out io.Writer, files fs.FS, lines string) (Packed, error) {
	z, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return Packed{}, fmt.Errorf("start gzip: %w", err)
	}
	p := &packing{files: files, rules: ignore.New(lines), out: tar.NewWriter(z)}
	err = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("walk: %w", err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("pack: %w", context.Cause(ctx))
		}
		return p.visit(name, d)
	})
	if err := errors.Join(err, p.out.Close(), z.Close()); err != nil {
		return Packed{}, fmt.Errorf("pack the tree: %w", err)
	}
	return p.packed, nil
}

// packing is one run of Pack.
type packing struct {
	files  fs.FS
	rules  *ignore.Rules
	out    *tar.Writer
	packed Packed
}

func (p *packing) visit(name string, d fs.DirEntry) error {
	if name != "." && !p.rules.Shows(name, d.IsDir()) {
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	switch {
	case d.IsDir():
		return p.directory(name)
	case !d.Type().IsRegular():
		p.packed.LeftOut = append(p.packed.LeftOut, name)
		return nil
	}
	return p.file(name, d)
}

func (p *packing) directory(name string) error {
	rules, err := fs.ReadFile(p.files, path.Join(name, ignore.File))
	switch {
	case err == nil:
		p.rules.Add(name, string(rules))
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read %s: %w", path.Join(name, ignore.File), err)
	}
	if name == "." {
		return nil
	}
	return p.header(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
}

func (p *packing) header(h *tar.Header) error {
	h.ModTime = time.Unix(0, 0)
	if err := tree.CheckPath(path.Clean(h.Name)); err != nil {
		return err
	}
	if err := p.out.WriteHeader(h); err != nil {
		return fmt.Errorf("write header of %s: %w", h.Name, err)
	}
	return nil
}

func (p *packing) file(name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return fmt.Errorf("stat %s: %w", name, err)
	}
	if limit := DefaultLimits.FileBytes; info.Size() > limit {
		return refused("%s has %d bytes, the limit is %d; leave it out with .sourceignore, disk images belong in a registry", name, info.Size(), limit)
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	if err := p.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: info.Size()}); err != nil {
		return err
	}
	f, err := p.files.Open(name)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	defer f.Close() //nolint:errcheck // a reader has nothing to lose when it is closed
	n, err := io.CopyN(p.out, f, info.Size())
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	p.packed.Files++
	p.packed.Bytes += n
	return nil
}
