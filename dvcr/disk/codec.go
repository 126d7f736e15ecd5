package disk

import (
	"crypto/sha256"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// sum names a chunk: the sha256 of its raw bytes.
type sum [sha256.Size]byte

// newEncoder returns the one encoder whose output is the format: fastest level, content size and checksum in each frame.
// It is safe for concurrent use.
func newEncoder(concurrency int) *zstd.Encoder {
	e, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderCRC(true),
		zstd.WithSingleSegment(true),
		zstd.WithEncoderConcurrency(concurrency))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
}

// newDecoder returns a decoder for frames, safe for concurrent use. It never writes beyond the capacity it is given. The
// frames' own checksums are compared besides the sha256 of their content, so that damage to them is found as well.
func newDecoder(concurrency int) *zstd.Decoder {
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(concurrency),
		zstd.WithDecoderMaxMemory(maxChunk),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return d
}

// decodeRoom is how much space behind a chunk lets the decoder take its faster way; what it writes there means nothing.
const decodeRoom = 32

// decodeFrame decodes one frame into dst[:size] and returns the bytes only when they are the named chunk. It may overwrite
// decodeRoom bytes behind them, where dst has the capacity.
func decodeFrame(d *zstd.Decoder, frame, dst []byte, size int, want sum) ([]byte, error) {
	raw, err := d.DecodeAll(frame, dst[:0:min(cap(dst), size+decodeRoom)])
	if err != nil {
		return nil, fmt.Errorf("%w: decode frame: %w", ErrCorrupt, err)
	}
	if len(raw) != size {
		return nil, fmt.Errorf("%w: frame holds %d bytes, the table says %d", ErrCorrupt, len(raw), size)
	}
	if got := sum(sha256.Sum256(raw)); got != want {
		return nil, fmt.Errorf("%w: frame holds sha256:%x, the table says sha256:%x", ErrCorrupt, got, want)
	}
	return raw, nil
}
