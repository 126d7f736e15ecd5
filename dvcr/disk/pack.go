package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// noFrame marks a chunk that some worker compresses but that is not in the table yet.
const noFrame = ^uint32(0)

// maxIndexed bounds the frames that base versions may add to the index, and with it the memory of a push.
const maxIndexed = 1 << 20

// frameIndex knows which chunks have a frame or will have one. Keys are the first 8 bytes of a chunk's digest, to halve
// its memory; the whole digest is compared where the frame is used.
type frameIndex struct {
	mu    sync.Mutex
	known map[uint64]indexed
}

type indexed struct {
	seq   uint64 // of the earliest chunk that was claimed; 0 for frames of a base
	frame uint32 // or noFrame
}

func indexKey(s sum) uint64 { return binary.LittleEndian.Uint64(s[:]) }

// claim reports whether the chunk at seq has to be compressed: whether it is the first of its content in disk order, as
// far as is known. Workers run ahead of each other, so content may be compressed twice; which frame is kept does not
// depend on that, because frames are kept in disk order.
func (x *frameIndex) claim(s sum, seq uint64) bool {
	key := indexKey(s)
	x.mu.Lock()
	defer x.mu.Unlock()
	have, ok := x.known[key]
	if ok && (have.frame != noFrame || have.seq < seq) {
		return false
	}
	x.known[key] = indexed{seq: seq, frame: noFrame}
	return true
}

func (x *frameIndex) frame(s sum) uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	if have, ok := x.known[indexKey(s)]; ok {
		return have.frame
	}
	return noFrame
}

func (x *frameIndex) set(s sum, frame uint32) {
	x.mu.Lock()
	defer x.mu.Unlock()
	have := x.known[indexKey(s)]
	have.frame = frame
	x.known[indexKey(s)] = have
}

// packStore builds the table and fills packs, which it uploads as they get full.
type packStore struct {
	to      oras.Target
	clock   clock.Clock
	table   *table
	index   *frameIndex
	size    int // from which a pack is full
	current *openPack
	full    chan *openPack
	blocks  sync.Pool
	uploads int

	moving  *packStream // the pack that frames are moved out of
	decoder *zstd.Decoder
}

// newPackStore loads the bases, whose frames count as known.
func newPackStore(ctx context.Context, to oras.Target, o PushOptions) (*packStore, error) {
	p := &packStore{
		to:      to,
		clock:   o.Clock,
		table:   &table{},
		index:   &frameIndex{known: map[uint64]indexed{}},
		size:    o.packSize,
		full:    make(chan *openPack),
		blocks:  sync.Pool{New: func() any { return new([packBlock]byte) }},
		uploads: o.Uploads,
	}
	for _, ref := range o.Bases {
		base, err := load(ctx, to, ref)
		switch {
		case err == nil:
			p.addBase(base.table)
		case !skippable(err):
			return nil, fmt.Errorf("read base %s: %w", ref, err)
		}
	}
	return p, nil
}

// addBase makes the frames of an earlier version known. Frames and packs that stay unused are dropped at the end.
func (p *packStore) addBase(base *table) {
	first := uint32(len(p.table.packs))
	p.table.packs = append(p.table.packs, base.packs...)
	for _, f := range base.frames {
		if len(p.table.frames) >= maxIndexed {
			return
		}
		if _, ok := p.index.known[indexKey(f.sum)]; ok {
			continue
		}
		f.pack += first
		p.index.known[indexKey(f.sum)] = indexed{frame: uint32(len(p.table.frames))}
		p.table.frames = append(p.table.frames, f)
	}
}

// add places a chunk in the table, with a frame that is known or with its own, which goes into the current pack.
func (p *packStore) add(ctx context.Context, s *slab, c *chunk, e encoder) error {
	n := p.index.frame(c.sum)
	if n == noFrame || p.table.frames[n].sum != c.sum {
		compressed := s.frames[c.frameOff : c.frameOff+c.frameSize]
		if c.frameSize == 0 { // only where two digests share their first 8 bytes
			compressed = e.EncodeAll(s.buf[c.start:c.end], nil)
		}
		collides := n != noFrame
		n = p.append(compressed, c)
		if !collides {
			p.index.set(c.sum, n)
		}
	}
	p.table.rows = append(p.table.rows, row{off: s.off + int64(c.start-s.start), frame: n})
	if p.current != nil && p.current.size >= p.size {
		return p.flush(ctx)
	}
	return nil
}

// append writes a frame to the current pack and returns its number.
func (p *packStore) append(compressed []byte, c *chunk) uint32 {
	if p.current == nil {
		p.current = &openPack{number: len(p.table.packs), hash: sha256.New(), blocks: &p.blocks}
		p.table.packs = append(p.table.packs, pack{})
	}
	p.table.frames = append(p.table.frames, frame{
		sum:     c.sum,
		pack:    uint32(p.current.number),
		off:     uint32(p.current.size),
		size:    uint32(len(compressed)),
		rawSize: uint32(c.end - c.start),
	})
	p.current.write(compressed)
	return uint32(len(p.table.frames) - 1)
}

// flush closes the current pack and hands it to the uploads.
func (p *packStore) flush(ctx context.Context) error {
	done := p.current
	if done == nil {
		return nil
	}
	p.current = nil
	p.table.packs[done.number] = pack{digest: digest.NewDigest(digest.SHA256, done.hash), size: int64(done.size)}
	done.desc = ocispec.Descriptor{
		MediaType: PackMediaType,
		Digest:    p.table.packs[done.number].digest,
		Size:      int64(done.size),
	}
	return send(ctx, p.full, done)
}

// start begins the uploads in g; close ends them when all packs are through.
func (p *packStore) start(ctx context.Context, g *errgroup.Group) {
	for range p.uploads {
		g.Go(func() error {
			for pack := range p.full {
				if err := p.upload(ctx, pack); err != nil {
					return err
				}
				pack.release()
			}
			return nil
		})
	}
}

func (p *packStore) close() { close(p.full) }

// upload pushes one pack, unless the target has it, and tries again when the target falters.
func (p *packStore) upload(ctx context.Context, pack *openPack) error {
	for attempt := 0; ; attempt++ {
		err := pushBlob(ctx, p.to, pack.desc, pack.reader)
		if err == nil || ctx.Err() != nil {
			return err
		}
		if attempt == len(uploadPauses) || !worthRetrying(err) {
			return fmt.Errorf("store pack %d: %w", pack.number, err)
		}
		select {
		case <-p.clock.After(uploadPauses[attempt]):
		case <-ctx.Done():
			return ctx.Err() //nolint:wrapcheck // as it is
		}
	}
}

// worthRetrying tells a registry that falters from one that refuses.
func worthRetrying(err error) bool {
	var answer *errcode.ErrorResponse
	if !errors.As(err, &answer) {
		return true
	}
	switch answer.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusInsufficientStorage:
		return false
	}
	return answer.StatusCode >= http.StatusInternalServerError
}

// packBlock is the unit in which a pack's memory grows.
const packBlock = 1 << 20

// openPack is a pack in memory.
type openPack struct {
	number int
	size   int
	data   []*[packBlock]byte
	hash   hash.Hash
	desc   ocispec.Descriptor
	blocks *sync.Pool
}

func (p *openPack) write(b []byte) {
	p.hash.Write(b)
	for len(b) > 0 {
		at := p.size % packBlock
		if at == 0 {
			p.data = append(p.data, p.blocks.Get().(*[packBlock]byte)) //nolint:errcheck // the pool holds nothing else
		}
		n := copy(p.data[len(p.data)-1][at:], b)
		p.size += n
		b = b[n:]
	}
}

// reader reads the pack from its beginning.
func (p *openPack) reader() io.Reader {
	parts := make([]io.Reader, len(p.data))
	for i, block := range p.data {
		parts[i] = bytes.NewReader(block[:min(packBlock, p.size-i*packBlock)])
	}
	return io.MultiReader(parts...)
}

func (p *openPack) release() {
	for _, b := range p.data {
		p.blocks.Put(b)
	}
	p.data = nil
}
