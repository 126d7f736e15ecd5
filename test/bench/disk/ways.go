package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"slipway.dev/slipway/dvcr/registry"
)

// ours is the way that the others stand beside.
const ours = "DVCR"

type way struct {
	name    string
	measure func(ctx context.Context, dir string, images imageSet) (result, error)
}

var ways = []way{
	{ours, measureDVCR},
	{"DVP: qcow2 in a tar layer", measureTar},
	{"qcow2 -c, pushed", measureQCOW2},
	{"zstd chunks of 512 MiB", measureFixed},
	{"casync", measureCasync},
}

// eachVersion imports the versions one after the other.
func eachVersion(dir string, images imageSet, imp func(n int, raw string) (moved int64, err error)) (result, error) {
	var r result
	for n, raw := range images.Raw {
		var err error
		r.Import[n], err = timed(func() error {
			r.Moved[n], err = imp(n, raw)
			return err
		})
		if err != nil {
			return r, fmt.Errorf("import version %d: %w", n+1, err)
		}
		if r.Stored[n], err = occupied(filepath.Join(dir, "store")); err != nil {
			return r, err
		}
	}
	return r, nil
}

// occupied is what a directory's files hold.
func occupied(dir string) (int64, error) {
	var n int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return fmt.Errorf("look at %s: %w", entry.Name(), err)
		}
		n += info.Size()
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("count what is stored: %w", err)
	}
	return n, nil
}

func serve(dir string) (*registry.Server, error) {
	s, err := registry.NewServer(registry.Config{Dir: filepath.Join(dir, "store")})
	if err != nil {
		return nil, err
	}
	return s, s.Start()
}

var tags = [3]string{"v1", "v2", "v3"}

func measureDVCR(ctx context.Context, dir string, images imageSet) (r result, err error) {
	s, err := serve(dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.Close(ctx)) }()
	r, err = eachVersion(dir, images, func(n int, raw string) (int64, error) {
		u, err := child(ctx, s, append([]string{"push", raw, tags[n]}, tags[:n]...)...)
		return u.moved, err
	})
	if err != nil {
		return r, err
	}
	out := filepath.Join(dir, "out.raw")
	r.Restore, err = quickest([]string{out}, func() error {
		_, err := child(ctx, s, "restore", out, "v1")
		return err
	})
	if err != nil {
		return r, err
	}
	if err := command(ctx, "cmp", out, images.Raw[0]); err != nil {
		return r, err
	}
	r.Delta, err = timed(func() error {
		u, err := child(ctx, s, "restore", filepath.Join(dir, "delta.raw"), "v2", out, "v1")
		r.DeltaBy = u.moved
		return err
	})
	if err != nil {
		return r, err
	}
	return r, command(ctx, "cmp", filepath.Join(dir, "delta.raw"), images.Raw[1])
}

// store pushes a file as one blob, the way a client without chunks does.
func store(ctx context.Context, dir, name, path string) (int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, fmt.Errorf("store: %w", err)
	}
	s, err := serve(dir)
	if err != nil {
		return 0, err
	}
	err = pushBlob(ctx, s, name, path)
	return info.Size(), errors.Join(err, s.Close(ctx))
}

// tarWay keeps the source's own format in an uncompressed layer, as DVP does.
type tarWay struct{ dir string }

func (w tarWay) image() string { return filepath.Join(w.dir, "disk/disk.qcow2") }
func (w tarWay) out() string   { return filepath.Join(w.dir, "out.raw") }

func (w tarWay) put(ctx context.Context, raw, tag string) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(w.image()), 0o755); err != nil {
		return 0, fmt.Errorf("make directory: %w", err)
	}
	if err := command(ctx, "qemu-img", "convert", "-O", "qcow2", raw, w.image()); err != nil {
		return 0, err
	}
	layer := filepath.Join(w.dir, "layer.tar")
	if err := command(ctx, "tar", "-C", w.dir, "-cf", layer, "disk"); err != nil {
		return 0, err
	}
	return store(ctx, w.dir, tag, layer)
}

// extract makes a raw disk of a layer.
func (w tarWay) extract(ctx context.Context) func(layer string) error {
	return func(layer string) error {
		if err := command(ctx, "tar", "-C", w.dir, "-xf", layer); err != nil {
			return err
		}
		return command(ctx, "qemu-img", "convert", "-O", "raw", w.image(), w.out())
	}
}

func (w tarWay) left() []string { return []string{w.image(), w.out()} }

func measureTar(ctx context.Context, dir string, images imageSet) (result, error) {
	w := tarWay{dir}
	r, err := eachVersion(dir, images, func(n int, raw string) (int64, error) { return w.put(ctx, raw, tags[n]) })
	if err != nil {
		return r, err
	}
	r.Note = "time to import includes making the qcow2; restore is skopeo copy, tar x, qemu-img convert"
	r.Restore, err = restoreBySkopeo(ctx, dir, w.left(), w.extract(ctx))
	return r, err
}

func measureQCOW2(ctx context.Context, dir string, images imageSet) (result, error) {
	image := filepath.Join(dir, "disk.qcow2")
	r, err := eachVersion(dir, images, func(n int, raw string) (int64, error) {
		if err := command(ctx, "qemu-img", "convert", "-c", "-O", "qcow2", raw, image); err != nil {
			return 0, err
		}
		return store(ctx, dir, tags[n], image)
	})
	if err != nil {
		return r, err
	}
	out := filepath.Join(dir, "out.raw")
	r.Restore, err = restoreBySkopeo(ctx, dir, []string{out}, func(layer string) error {
		return command(ctx, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", layer, out)
	})
	return r, err
}

// measureFixed cuts at fixed offsets and compresses each piece; equal pieces are stored once.
func measureFixed(ctx context.Context, dir string, images imageSet) (result, error) {
	const size = 512 << 20
	if err := os.MkdirAll(filepath.Join(dir, "store"), 0o755); err != nil {
		return result{}, fmt.Errorf("make directory: %w", err)
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return result{}, fmt.Errorf("make encoder: %w", err)
	}
	var first []string
	r, err := eachVersion(dir, images, func(n int, raw string) (int64, error) {
		f, err := os.Open(raw)
		if err != nil {
			return 0, fmt.Errorf("open image: %w", err)
		}
		defer f.Close()
		var moved int64
		piece := make([]byte, size)
		for {
			m, err := io.ReadFull(f, piece)
			if m == 0 {
				return moved, nil
			}
			name := filepath.Join(dir, "store", fmt.Sprintf("%x", sha256.Sum256(piece[:m])))
			if n == 0 {
				first = append(first, name)
			}
			if _, missing := os.Stat(name); missing != nil {
				packed := encoder.EncodeAll(piece[:m], nil)
				moved += int64(len(packed))
				if err := os.WriteFile(name, packed, 0o644); err != nil {
					return moved, fmt.Errorf("store piece: %w", err)
				}
			}
			if err != nil {
				return moved, nil
			}
		}
	})
	if err != nil {
		return r, err
	}
	r.Note = "kept in a directory, without a registry; restored by zstd -d"
	r.Restore, err = timed(func() error {
		return command(ctx, "sh", append([]string{"-c", `out=$1; shift; for f; do zstd -q -d -c < "$f"; done > "$out"`, "sh", filepath.Join(dir, "out.raw")}, first...)...)
	})
	return r, err
}

func measureCasync(ctx context.Context, dir string, images imageSet) (result, error) {
	stored, index := filepath.Join(dir, "store"), func(n int) string { return filepath.Join(dir, tags[n]+".caibx") }
	if err := os.MkdirAll(stored, 0o755); err != nil {
		return result{}, fmt.Errorf("make directory: %w", err)
	}
	var before int64
	r, err := eachVersion(dir, images, func(n int, raw string) (int64, error) {
		if err := command(ctx, "casync", "make", "--store="+stored, index(n), raw); err != nil {
			return 0, err
		}
		now, err := occupied(stored)
		moved := now - before
		before = now
		return moved, err
	})
	if err != nil {
		return r, err
	}
	r.Note = "kept in a directory, without a registry"
	out := filepath.Join(dir, "out.raw")
	if r.Restore, err = timed(func() error { return command(ctx, "casync", "extract", "--store="+stored, index(0), out) }); err != nil {
		return r, err
	}
	r.Delta, err = timed(func() error {
		return command(ctx, "casync", "extract", "--store="+stored, "--seed="+out, index(1), filepath.Join(dir, "delta.raw"))
	})
	return r, err
}
