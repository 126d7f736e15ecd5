package pack

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // the checksum of a pack is SHA-1
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"math"
	"os"

	"github.com/klauspost/compress/zlib"
	"github.com/pjbgf/sha1cd"
)

var (
	// ErrMalformed says that a file is not a pack, or not a whole one.
	ErrMalformed = errors.New("the pack is malformed")
	// ErrTooLarge says that a pack breaks a limit.
	ErrTooLarge = errors.New("the pack is too large")
	// ErrNotFound says that a pack does not hold an object, or that the object is larger than the limit.
	ErrNotFound = errors.New("object is not in the pack")
)

// Limits bound what a pack may hold.
type Limits struct {
	// Objects is how many there are at most.
	Objects int
	// Object is the size of the largest one that is read into memory, in bytes. Larger ones are passed over.
	Object int64
	// Inflated is how many bytes come out of the pack altogether while it is checked.
	Inflated int64
}

// DefaultLimits suit a repository of manifests, even one with large files that nobody reads.
var DefaultLimits = Limits{Objects: 1_000_000, Object: 32 << 20, Inflated: 8 << 30}

// Hash names an object.
type Hash [20]byte

// ParseHash reads a hash of 40 hexadecimal digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2*len(h) {
		return h, fmt.Errorf("%w: %q is not a hash", ErrMalformed, s)
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return h, fmt.Errorf("%w: %q is not a hash", ErrMalformed, s)
	}
	return h, nil
}

// String is the hash in hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Type of an object.
type Type byte

// The types of objects, and the two forms of a difference to another one.
const (
	Commit Type = 1
	Tree   Type = 2
	Blob   Type = 3
	Tag    Type = 4

	offsetDelta Type = 6
	hashDelta   Type = 7
)

// String is the type's name as it is hashed.
func (t Type) String() string {
	return [...]string{Commit: "commit", Tree: "tree", Blob: "blob", Tag: "tag", 5: "", offsetDelta: "delta", hashDelta: "delta"}[t]
}

// entry is an object where it stands in the pack.
type entry struct {
	data int64 // offset of the compressed bytes
	size int64 // inflated, of the object or of its difference
	base int64 // index of the object that a difference builds on; -1 for none
	typ  Type  // the object's own, once it is known
	form Type  // as it stands in the pack
}

// Pack is an open pack. It is safe for concurrent use.
type Pack struct {
	file    *os.File
	limits  Limits
	entries []entry
	index   map[Hash]int
	cache   cache
	spent   int64
}

// Open checks a pack and takes over its file.
func Open(file *os.File, limits Limits) (*Pack, error) {
	p := &Pack{file: file, limits: limits, index: map[Hash]int{}, cache: cache{left: cacheBytes}}
	s := &scan{pack: p, byOffset: map[int64]int{}, waiting: map[int]Hash{}}
	if err := s.run(); err != nil {
		return nil, err
	}
	if err := p.resolve(s); err != nil {
		return nil, err
	}
	return p, nil
}

// Close closes the file.
func (p *Pack) Close() error {
	if err := p.file.Close(); err != nil {
		return fmt.Errorf("close pack: %w", err)
	}
	return nil
}

// Has reports whether an object can be read.
func (p *Pack) Has(h Hash) bool {
	_, found := p.index[h]
	return found
}

// Hashes calls do with each object that can be read, in no order, until it fails.
func (p *Pack) Hashes(do func(Hash, Type) error) error {
	for h, i := range p.index {
		if err := do(h, p.entries[i].typ); err != nil {
			return err
		}
	}
	return nil
}

// scan is the first pass over a pack, from its begin to its end.
type scan struct {
	pack     *Pack
	in       *bufio.Reader
	raw      *hashed
	inflate  io.ReadCloser
	byOffset map[int64]int
	waiting  map[int]Hash // differences whose base is named by hash
}

// hashed counts and hashes what is read through it.
type hashed struct {
	r   io.Reader
	n   int64
	sum hash.Hash
}

func (h *hashed) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	h.sum.Write(b[:n])
	h.n += int64(n)
	return n, err //nolint:wrapcheck // a reader returns what it got
}

// offset is how far the scan has come.
func (s *scan) offset() int64 { return s.raw.n - int64(s.in.Buffered()) }

func (s *scan) run() error {
	info, err := s.pack.file.Stat()
	if err != nil {
		return fmt.Errorf("measure pack: %w", err)
	}
	body := info.Size() - sha1.Size
	s.raw = &hashed{r: io.NewSectionReader(s.pack.file, 0, max(body, 0)), sum: sha1.New()} //nolint:gosec // see above
	s.in = bufio.NewReaderSize(s.raw, 128<<10)
	count, err := s.header()
	if err != nil {
		return err
	}
	for i := range count {
		if err := s.object(i); err != nil {
			return fmt.Errorf("object %d of %d: %w", i+1, count, err)
		}
	}
	return s.trailer(body)
}

func (s *scan) header() (int, error) {
	var h [12]byte
	if _, err := io.ReadFull(s.in, h[:]); err != nil {
		return 0, fmt.Errorf("%w: it has no header", ErrMalformed)
	}
	version, count := binary.BigEndian.Uint32(h[4:]), binary.BigEndian.Uint32(h[8:])
	if !bytes.Equal(h[:4], []byte("PACK")) || version != 2 && version != 3 {
		return 0, fmt.Errorf("%w: its header is not that of version 2", ErrMalformed)
	}
	if int64(count) > int64(s.pack.limits.Objects) {
		return 0, fmt.Errorf("%w: it has %d objects, the limit is %d", ErrTooLarge, count, s.pack.limits.Objects)
	}
	return int(count), nil
}

// trailer compares the checksum behind the last object.
func (s *scan) trailer(at int64) error {
	if _, err := s.in.ReadByte(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: there is something behind its last object", ErrMalformed)
	}
	got := make([]byte, sha1.Size)
	if _, err := s.pack.file.ReadAt(got, at); err != nil || !bytes.Equal(got, s.raw.sum.Sum(nil)) {
		return fmt.Errorf("%w: its checksum is wrong", ErrMalformed)
	}
	return nil
}

// object reads one entry: its type and size, its base, and its content.
func (s *scan) object(i int) error {
	start := s.offset()
	e, err := s.entry(i, start)
	if err != nil {
		return err
	}
	e.data = s.offset()
	if err := s.pack.spend(e.size); err != nil {
		return err
	}
	h, err := s.content(e)
	if err != nil {
		return err
	}
	s.byOffset[start] = i
	s.pack.entries = append(s.pack.entries, e)
	if e.form < offsetDelta && e.size <= s.pack.limits.Object {
		s.pack.index[h] = i
	}
	return nil
}

func (p *Pack) spend(n int64) error {
	if p.spent += n; p.spent > p.limits.Inflated || p.spent < 0 {
		return fmt.Errorf("%w: it inflates to more than %d bytes", ErrTooLarge, p.limits.Inflated)
	}
	return nil
}

func (s *scan) entry(i int, start int64) (entry, error) {
	e := entry{base: -1}
	var err error
	if e.form, e.size, err = s.kind(); err != nil {
		return e, err
	}
	e.typ = e.form
	switch e.form {
	case Commit, Tree, Blob, Tag:
		return e, nil
	case offsetDelta:
		back, err := s.distance()
		base, found := s.byOffset[start-back]
		if err != nil || !found {
			return e, fmt.Errorf("%w: a difference to nothing", ErrMalformed)
		}
		e.base = int64(base)
		return e, nil
	case hashDelta:
		var h Hash
		if _, err := io.ReadFull(s.in, h[:]); err != nil {
			return e, fmt.Errorf("%w: it ends early", ErrMalformed)
		}
		s.waiting[i] = h
		return e, nil
	}
	return e, fmt.Errorf("%w: an object of type %d", ErrMalformed, e.form)
}

// kind reads the type and the inflated size.
func (s *scan) kind() (Type, int64, error) {
	b, err := s.in.ReadByte()
	if err != nil {
		return 0, 0, fmt.Errorf("%w: it ends early", ErrMalformed)
	}
	typ, size := Type(b>>4&7), int64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = s.in.ReadByte(); err != nil || shift > 53 {
			return 0, 0, fmt.Errorf("%w: an object's size", ErrMalformed)
		}
		size |= int64(b&0x7f) << shift
	}
	return typ, size, nil
}

// distance reads how far in front of a difference its base stands.
func (s *scan) distance() (int64, error) {
	var n int64
	for i := 0; ; i++ {
		b, err := s.in.ReadByte()
		if err != nil || n > math.MaxInt64>>8 {
			return 0, fmt.Errorf("%w: a difference's base", ErrMalformed)
		}
		if i > 0 {
			n++
		}
		n = n<<7 | int64(b&0x7f)
		if b&0x80 == 0 {
			return n, nil
		}
	}
}

// content inflates an entry without keeping it and returns its hash.
func (s *scan) content(e entry) (Hash, error) {
	var err error
	if s.inflate == nil {
		s.inflate, err = zlib.NewReader(s.in)
	} else {
		err = s.inflate.(zlib.Resetter).Reset(s.in, nil)
	}
	if err != nil {
		return Hash{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	sink := hash.Hash(nil)
	w := io.Discard
	if e.form < offsetDelta {
		sink = newHash(e.form, e.size)
		w = sink
	}
	n, err := io.Copy(w, io.LimitReader(s.inflate, e.size+1))
	if err != nil || n != e.size {
		return Hash{}, fmt.Errorf("%w: %d bytes in place of %d (%w)", ErrMalformed, n, e.size, errors.Join(err))
	}
	if sink == nil {
		return Hash{}, nil
	}
	return finish(sink)
}

func newHash(t Type, size int64) hash.Hash {
	h := sha1cd.New()
	_, _ = fmt.Fprintf(h, "%s %d\x00", t, size)
	return h
}

// finish returns a hash unless its content was made to collide with another's.
func finish(h hash.Hash) (Hash, error) {
	var out Hash
	detecting, able := h.(sha1cd.CollisionResistantHash)
	if !able {
		return out, fmt.Errorf("%w: collisions cannot be detected", ErrMalformed)
	}
	sum, collides := detecting.CollisionResistantSum(nil)
	if collides {
		return out, fmt.Errorf("%w: an object made to collide with another's SHA-1", ErrMalformed)
	}
	copy(out[:], sum)
	return out, nil
}
