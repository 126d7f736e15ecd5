package disk

import "bytes"

// piece is one chunk inside a slab: data[start:end].
type piece struct{ start, end int }

// edge says what follows the bytes that a cutter is given.
type edge int

const (
	edgeMore edge = iota // more bytes of the same stretch
	edgeHole             // a hole of at least minHole
	edgeEnd              // the end of the disk
)

// cutter turns a disk's bytes into chunks and holes. The result depends on nothing but the bytes: not on how the source
// names its holes, nor on how the bytes are divided between calls.
type cutter struct {
	inHole bool // the byte before the next one is part of a hole
}

// cut cuts view, the bytes at raw offset off, and returns its chunks and the index from which it could not decide yet.
// The caller presents the bytes from there again, in front of what follows. Nothing is left over unless next is edgeMore.
func (c *cutter) cut(view []byte, off int64, next edge) (pieces []piece, rest int) {
	for pos := 0; ; {
		if c.inHole {
			pos += leadingZeros(view[pos:])
			if pos == len(view) {
				c.inHole = next != edgeEnd
				return pieces, pos
			}
			c.inHole = false
		}
		end, closed := runEnd(view, off, pos, next)
		pieces, pos = appendPieces(pieces, view, off, piece{pos, end}, closed)
		switch {
		case !closed:
			return pieces, pos
		case end == len(view):
			c.inHole = next == edgeHole
			return pieces, end
		}
		c.inHole = true
	}
}

// appendPieces cuts the data run, of which the end is known only if closed, and returns where it had to stop.
func appendPieces(pieces []piece, view []byte, off int64, run piece, closed bool) ([]piece, int) {
	pos := run.start
	for pos < run.end {
		at := off + int64(pos)
		room, forced := run.end-pos, closed
		if left := window - at%window; int64(room) >= left {
			room, forced = int(left), true
		}
		t := tierAt(at)
		if !forced && room < t.max {
			return pieces, pos
		}
		n := t.cut(view[pos : pos+room])
		pieces = append(pieces, piece{pos, pos + n})
		pos += n
	}
	return pieces, pos
}

// runEnd finds where the data run that begins at pos ends: where a run of zero blocks begins that is long enough for a
// hole. closed is false when the bytes that would decide have not arrived.
func runEnd(view []byte, off int64, pos int, next edge) (end int, closed bool) {
	zeros := 0
	// A chunk may end inside a block; the rest of that block is data, whatever it holds.
	first := pos + int(-(off+int64(pos))&(blockSize-1))
	for i := first; i < len(view); i += blockSize {
		block := view[i:min(i+blockSize, len(view))]
		if !isZero(block) {
			zeros = 0
			continue
		}
		zeros += len(block)
		if zeros >= minHole {
			return i + len(block) - zeros, true
		}
	}
	if next == edgeEnd {
		return len(view), true
	}
	return len(view) - zeros, next == edgeHole
}

// leadingZeros returns the length of the zero blocks that view begins with. view begins at a block.
func leadingZeros(view []byte) int {
	for i := 0; i < len(view); i += blockSize {
		if !isZero(view[i:min(i+blockSize, len(view))]) {
			return i
		}
	}
	return len(view)
}

var zeroBlock [blockSize]byte

// isZero reports whether a block holds only zeros; the comparison is vectorized and ends at the first other byte.
func isZero(block []byte) bool {
	return bytes.Equal(block, zeroBlock[:len(block)])
}
