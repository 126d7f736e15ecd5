package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"slipway.dev/slipway/sources/git/pack"
	"slipway.dev/slipway/sources/git/wire"
)

var (
	errPackTooLarge = errors.New("the pack is too large; disk images belong in a registry, not in the source")
	// errLocal marks a failure on our side.
	errLocal = errors.New("keep pack on disk")
)

// objects are those of one repository, in packs in a temporary directory.
type objects struct {
	dir    string
	limits Limits
	packs  []*pack.Pack
	// lazy says that blobs were left out and can be asked for.
	lazy bool
	left int64 // bytes that packs may still have
	stop func() error
}

func (c *Client) newObjects() (*objects, error) {
	if c.temp != "" {
		if err := os.MkdirAll(c.temp, 0o700); err != nil {
			return nil, fmt.Errorf("%w: %w", errLocal, err)
		}
	}
	dir, err := os.MkdirTemp(c.temp, packPrefix)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLocal, err)
	}
	return &objects{
		dir: dir, limits: c.limits, left: c.limits.Pack,
		stop: sync.OnceValue(func() error { return os.RemoveAll(dir) }),
	}, nil
}

// Close removes the packs.
func (o *objects) Close() error {
	var errs []error
	for _, p := range o.packs {
		errs = append(errs, p.Close())
	}
	o.packs = nil
	if err := errors.Join(append(errs, o.stop())...); err != nil {
		return fmt.Errorf("remove packs: %w", err)
	}
	return nil
}

// receive adds a pack with what is wanted.
func (o *objects) receive(ctx context.Context, s *session, want wire.Request) error {
	f, err := os.CreateTemp(o.dir, "")
	if err != nil {
		return fmt.Errorf("%w: %w", errLocal, err)
	}
	w := &limitedWriter{w: f, left: o.left}
	err = s.Fetch(ctx, want, w)
	if err == nil {
		var p *pack.Pack
		p, err = pack.Open(f, pack.Limits{Objects: o.limits.Objects, Object: o.limits.File, Inflated: o.limits.Inflated})
		if err == nil {
			o.packs, o.left = append(o.packs, p), w.left
			return nil
		}
	}
	return errors.Join(err, f.Close(), os.Remove(f.Name()))
}

// limitedWriter stops when more is written than allowed.
type limitedWriter struct {
	w    io.Writer
	left int64
}

func (w *limitedWriter) Write(b []byte) (int, error) {
	if w.left -= int64(len(b)); w.left < 0 {
		return 0, errPackTooLarge
	}
	n, err := w.w.Write(b)
	if err != nil {
		return n, fmt.Errorf("%w: %w", errLocal, err)
	}
	return n, nil
}

func (o *objects) find(h pack.Hash) *pack.Pack {
	for _, p := range o.packs {
		if p.Has(h) {
			return p
		}
	}
	return nil
}

// has reports whether an object can be read.
func (o *objects) has(hash string) bool {
	h, err := pack.ParseHash(hash)
	return err == nil && o.find(h) != nil
}

// get returns an object of a type.
func (o *objects) get(h pack.Hash, want pack.Type) ([]byte, error) {
	p := o.find(h)
	if p == nil {
		return nil, fmt.Errorf("%w: %s", pack.ErrNotFound, h)
	}
	got, content, err := p.Get(h)
	if err != nil {
		return nil, err
	}
	if got != want {
		return nil, fmt.Errorf("%w: %s is a %s where a %s should be", pack.ErrMalformed, h, got, want)
	}
	return content, nil
}

// text is get for a hash in hexadecimal digits.
func (o *objects) text(hash string, want pack.Type) ([]byte, error) {
	h, err := pack.ParseHash(hash)
	if err != nil {
		return nil, err
	}
	return o.get(h, want)
}
