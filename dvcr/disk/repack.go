package disk

import (
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"
	"oras.land/oras-go/v2"
)

// Packs names the packs of a table.
func (t *Table) Packs() []digest.Digest {
	all := make([]digest.Digest, len(t.table.packs))
	for i, p := range t.table.packs {
		all[i] = p.digest
	}
	return all
}

// Usage counts which bytes of packs are needed by any of several disks.
type Usage struct{ packs map[digest.Digest]*packUsage }

type packUsage struct {
	size   int64
	frames map[uint32]uint32 // size by offset
}

// NewUsage returns a count of nothing.
func NewUsage() *Usage { return &Usage{packs: map[digest.Digest]*packUsage{}} }

// Add counts a disk.
func (u *Usage) Add(t *Table) {
	for _, f := range t.table.frames {
		p := t.table.packs[f.pack]
		use := u.packs[p.digest]
		if use == nil {
			use = &packUsage{size: p.size, frames: map[uint32]uint32{}}
			u.packs[p.digest] = use
		}
		use.frames[f.off] = f.size
	}
}

// Below returns the packs of which less than a share, in percent, is needed.
func (u *Usage) Below(percent int64) map[digest.Digest]bool {
	all := map[digest.Digest]bool{}
	for d, use := range u.packs {
		var n int64
		for _, size := range use.frames {
			n += int64(size)
		}
		if n*100 < use.size*percent {
			all[d] = true
		}
	}
	return all
}

// Repack stores the disk under ref anew without some packs: the frames that it needs of them go into new ones, verified on the
// way. The disk's content and the blobs of its faces stay the same. Frames that a base in o has are not written again.
func Repack(ctx context.Context, to oras.Target, ref string, without map[digest.Digest]bool, o PushOptions) (Info, error) {
	o = o.withDefaults()
	a, err := load(ctx, to, ref)
	if err != nil {
		return Info{}, fmt.Errorf("repack disk: %w", err)
	}
	if len(a.faces) == 0 {
		o.Faces = nil
	}
	store, err := newPackStore(ctx, to, o)
	if err != nil {
		return Info{}, fmt.Errorf("repack disk %s: %w", ref, err)
	}
	if err := store.repack(ctx, a.table, without); err != nil {
		return Info{}, fmt.Errorf("repack disk %s: %w", ref, err)
	}
	toc := store.table.encode(newEncoder(1))
	p := publication{to: to, ref: ref, faces: o.Faces, arch: o.Architecture}
	if a, err = p.publish(ctx, a.config, toc, store.table); err != nil {
		return Info{}, fmt.Errorf("repack disk %s: %w", ref, err)
	}
	return a.info(), nil
}

// repack fills the store's table with that of a disk, and packs with the frames of those to be left out.
func (p *packStore) repack(ctx context.Context, old *table, without map[digest.Digest]bool) error {
	g, ctx := errgroup.WithContext(ctx)
	p.start(ctx, g)
	g.Go(func() error {
		defer p.close()
		return p.moveFrames(ctx, old, without)
	})
	return g.Wait() //nolint:wrapcheck // Repack wraps it
}

func (p *packStore) moveFrames(ctx context.Context, old *table, without map[digest.Digest]bool) error {
	defer p.endMove()
	p.table.size = old.size
	numbers := make([]uint32, len(old.packs))
	for i, kept := range old.packs {
		numbers[i] = uint32(len(p.table.packs))
		p.table.packs = append(p.table.packs, kept)
	}
	at := make([]uint32, len(old.frames))
	for i := range old.frames {
		f := old.frames[i]
		if !without[old.packs[f.pack].digest] {
			f.pack = numbers[f.pack]
			at[i] = uint32(len(p.table.frames))
			p.table.frames = append(p.table.frames, f)
			continue
		}
		var err error
		if at[i], err = p.moveFrame(ctx, old, f, without); err != nil {
			return err
		}
	}
	p.table.rows = slices.Clone(old.rows)
	for i := range p.table.rows {
		p.table.rows[i].frame = at[p.table.rows[i].frame]
	}
	return p.flush(ctx)
}

func (p *packStore) endMove() {
	if p.moving != nil {
		p.moving.close()
		p.decoder.Close()
	}
}

// moveFrame takes a frame from a base that has it, or copies it into the current pack.
func (p *packStore) moveFrame(ctx context.Context, old *table, f frame, without map[digest.Digest]bool) (uint32, error) {
	if n := p.index.frame(f.sum); n != noFrame && p.table.frames[n].sum == f.sum && !without[p.table.packs[p.table.frames[n].pack].digest] {
		return n, nil
	}
	compressed, err := p.readFrame(ctx, old, f)
	if err != nil {
		return 0, err
	}
	n := p.append(compressed, &chunk{piece: piece{0, int(f.rawSize)}, sum: f.sum})
	if p.current.size >= p.size {
		return n, p.flush(ctx)
	}
	return n, nil
}

// readFrame reads one frame of a pack and verifies it.
func (p *packStore) readFrame(ctx context.Context, old *table, f frame) ([]byte, error) {
	if p.moving == nil || p.moving.desc.Digest != old.packs[f.pack].digest {
		if p.moving != nil {
			p.moving.close()
		}
		p.moving = newPackStream(p.to, old.packs[f.pack], true)
	}
	if p.decoder == nil {
		p.decoder = newDecoder(1)
	}
	compressed := make([]byte, f.size)
	err := p.moving.seek(ctx, int64(f.off), int64(f.off)+int64(f.size))
	if err == nil {
		err = p.moving.read(compressed)
	}
	if err == nil {
		_, err = decodeFrame(p.decoder, compressed, make([]byte, f.rawSize), int(f.rawSize), f.sum)
	}
	if err != nil {
		return nil, fmt.Errorf("move frame at offset %d of pack %s: %w", f.off, old.packs[f.pack].digest, err)
	}
	return compressed, nil
}
