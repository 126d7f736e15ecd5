package pack

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// maxChain is how many differences may build on each other, as in Git itself.
const maxChain = 4095

// cacheBytes bounds the contents that are kept because others build on them.
const cacheBytes = 8 << 20

// resolve is the second pass: it rebuilds the objects that stand in the pack as differences, to learn their hashes.
func (p *Pack) resolve(s *scan) error {
	depth := make([]int16, len(p.entries))
	todo := p.deltas()
	for len(todo) > 0 {
		var left []int
		for _, i := range todo {
			ready, err := p.tie(s, depth, i)
			if err != nil {
				return err
			}
			if !ready {
				left = append(left, i)
			}
		}
		if len(left) == len(todo) {
			return p.orphans(left)
		}
		todo = left
	}
	return nil
}

func (p *Pack) deltas() []int {
	var list []int
	for i := range p.entries {
		if p.entries[i].form >= offsetDelta {
			list = append(list, i)
		}
	}
	return list
}

// orphans tells differences whose base is missing from those whose base is only too large to be read.
func (p *Pack) orphans(left []int) error {
	for _, i := range left {
		if p.entries[i].base < 0 {
			return fmt.Errorf("%w: a difference to an object that is not in it", ErrMalformed)
		}
	}
	return nil
}

// tie rebuilds one object when its base is known.
func (p *Pack) tie(s *scan, depth []int16, i int) (ready bool, err error) {
	e := &p.entries[i]
	if e.base < 0 {
		base, found := p.index[s.waiting[i]]
		if !found {
			return false, nil
		}
		e.base = int64(base)
	}
	base := &p.entries[e.base]
	if base.typ >= offsetDelta {
		return false, nil
	}
	if depth[i] = depth[e.base] + 1; depth[i] > maxChain {
		return false, fmt.Errorf("%w: a chain of more than %d differences", ErrTooLarge, maxChain)
	}
	content, err := p.content(i, p.spend)
	if errors.Is(err, errOversize) {
		e.typ = base.typ
		return true, nil
	}
	if err != nil {
		return false, err
	}
	e.typ = base.typ
	h := newHash(e.typ, int64(len(content)))
	_, _ = h.Write(content)
	name, err := finish(h)
	if err != nil {
		return false, err
	}
	p.index[name] = i
	return true, nil
}

// errOversize marks an object that is larger than what is read into memory.
var errOversize = fmt.Errorf("%w: it is larger than the limit", ErrNotFound)

// Get returns an object. The bytes belong to the pack: do not change them.
func (p *Pack) Get(h Hash) (Type, []byte, error) {
	i, found := p.index[h]
	if !found {
		return 0, nil, fmt.Errorf("%w: %s", ErrNotFound, h)
	}
	content, err := p.content(i, free)
	if err != nil {
		return 0, nil, fmt.Errorf("read object %s: %w", h, err)
	}
	return p.entries[i].typ, content, nil
}

// Size returns the size of an object without reading more of it than is needed.
func (p *Pack) Size(h Hash) (int64, error) {
	i, found := p.index[h]
	if !found {
		return 0, fmt.Errorf("%w: %s", ErrNotFound, h)
	}
	e := p.entries[i]
	if e.form < offsetDelta {
		return e.size, nil
	}
	head, err := p.inflate(e, min(e.size, 32))
	if err != nil {
		return 0, err
	}
	_, rest, err := varint(head)
	if err != nil {
		return 0, err
	}
	size, _, err := varint(rest)
	return size, err
}

// free spends nothing: what it costs to read an object was counted when the pack was checked.
func free(int64) error { return nil }

// content rebuilds an object from the nearest one in its chain that is cached or whole.
func (p *Pack) content(i int, spend func(int64) error) ([]byte, error) {
	var chain []int
	var content []byte
	for at := i; ; {
		if kept := p.cache.get(at); kept != nil {
			content = kept
			break
		}
		e := p.entries[at]
		if e.size > p.limits.Object {
			return nil, errOversize
		}
		if e.form < offsetDelta {
			whole, err := p.inflate(e, e.size)
			if err != nil {
				return nil, err
			}
			content = whole
			p.cache.put(at, content)
			break
		}
		if chain = append(chain, at); len(chain) > maxChain {
			return nil, fmt.Errorf("%w: a chain of more than %d differences", ErrTooLarge, maxChain)
		}
		at = int(e.base)
	}
	return p.apply(chain, content, spend)
}

// apply builds up what a chain of differences makes of an object.
func (p *Pack) apply(chain []int, content []byte, spend func(int64) error) ([]byte, error) {
	for n := len(chain) - 1; n >= 0; n-- {
		delta, err := p.inflate(p.entries[chain[n]], p.entries[chain[n]].size)
		if err != nil {
			return nil, err
		}
		if content, err = patch(content, delta, p.limits.Object); err != nil {
			return nil, err
		}
		if err := spend(int64(len(content))); err != nil {
			return nil, err
		}
		if n > 0 {
			p.cache.put(chain[n], content)
		}
	}
	return content, nil
}

// inflate reads the first bytes of an entry.
func (p *Pack) inflate(e entry, size int64) ([]byte, error) {
	r, err := zlib.NewReader(io.NewSectionReader(p.file, e.data, 1<<62))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	defer r.Close() //nolint:errcheck // a reader has nothing to lose when it is closed
	out := make([]byte, size)
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out, nil
}

// varint reads a size in front of a difference.
func varint(b []byte) (int64, []byte, error) {
	var n int64
	for i := 0; i < len(b) && i < 9; i++ {
		n |= int64(b[i]&0x7f) << (7 * i)
		if b[i]&0x80 == 0 {
			return n, b[i+1:], nil
		}
	}
	return 0, nil, fmt.Errorf("%w: a difference's size", ErrMalformed)
}

// patch applies a difference: pieces of the base, and new bytes.
func patch(base, delta []byte, limit int64) ([]byte, error) {
	from, delta, err := varint(delta)
	if err != nil {
		return nil, err
	}
	size, delta, err := varint(delta)
	switch {
	case err != nil:
		return nil, err
	case from != int64(len(base)):
		return nil, fmt.Errorf("%w: a difference to another base", ErrMalformed)
	case size > limit:
		return nil, errOversize
	}
	out := make([]byte, 0, size)
	for len(delta) > 0 {
		op := delta[0]
		var piece []byte
		if op&0x80 != 0 {
			piece, delta, err = copied(base, delta)
		} else {
			piece, delta, err = inserted(delta)
		}
		if err != nil {
			return nil, err
		}
		if int64(len(out)+len(piece)) > size {
			return nil, fmt.Errorf("%w: a difference makes too much", ErrMalformed)
		}
		out = append(out, piece...)
	}
	if int64(len(out)) != size {
		return nil, fmt.Errorf("%w: a difference makes too little", ErrMalformed)
	}
	return out, nil
}

func inserted(delta []byte) (piece, rest []byte, err error) {
	n := int(delta[0])
	if n == 0 || len(delta) < n+1 {
		return nil, nil, fmt.Errorf("%w: a difference's insertion", ErrMalformed)
	}
	return delta[1 : n+1], delta[n+1:], nil
}

func copied(base, delta []byte) (piece, rest []byte, err error) {
	op := delta[0]
	rest = delta[1:]
	var fields [7]int
	for bit := range fields {
		if op&(1<<bit) == 0 {
			continue
		}
		if len(rest) == 0 {
			return nil, nil, fmt.Errorf("%w: a difference's copy", ErrMalformed)
		}
		fields[bit], rest = int(rest[0]), rest[1:]
	}
	offset := fields[0] | fields[1]<<8 | fields[2]<<16 | fields[3]<<24
	size := fields[4] | fields[5]<<8 | fields[6]<<16
	if size == 0 {
		size = 0x10000
	}
	if offset > len(base) || size > len(base)-offset {
		return nil, nil, fmt.Errorf("%w: a difference copies what is not there", ErrMalformed)
	}
	return base[offset : offset+size], rest, nil
}

// cache keeps a few contents; what was put in first goes first.
type cache struct {
	mu    sync.Mutex
	left  int
	items map[int][]byte
	order []int
}

func (c *cache) get(i int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.items[i]
}

func (c *cache) put(i int, content []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, found := c.items[i]; found || len(content) > cacheBytes/4 || len(content) == 0 {
		return
	}
	if c.items == nil {
		c.items = map[int][]byte{}
	}
	for c.left < len(content) {
		oldest := c.order[0]
		c.order = c.order[1:]
		c.left += len(c.items[oldest])
		delete(c.items, oldest)
	}
	c.left -= len(content)
	c.items[i], c.order = content, append(c.order, i)
}
