package archive

import (
	"errors"
	"fmt"
	"io"
)

// ErrRefused says that an archive breaks a limit or holds what may not stand in a tree.
var ErrRefused = errors.New("archive is refused")

// Limits bound what an archive may cost.
type Limits struct {
	// Entries is the number of headers: files, directories and what ignore rules leave out.
	Entries int
	// FileBytes is the size of the largest file.
	FileBytes int64
	// Bytes is the sum of all contents.
	Bytes int64
	// Ratio is how many bytes one compressed byte may become, once more than RatioFrom bytes came out.
	Ratio, RatioFrom int64
}

// DefaultLimits suit bundles of manifests: disk images do not belong in one.
var DefaultLimits = Limits{Entries: 100_000, FileBytes: 32 << 20, Bytes: 512 << 20, Ratio: 200, RatioFrom: 16 << 20}

// headerBytes is what the headers of one entry may cost on top of contents.
const headerBytes = 4 << 10

func refused(format string, a ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrRefused}, a...)...)
}

// counter counts what was read from a stream.
type counter struct {
	in io.Reader
	n  int64
}

// Read implements io.Reader.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	c.n += int64(n)
	return n, err //nolint:wrapcheck // a reader's error is its own
}

// bounded ends a decompressed stream that grows out of proportion, while it does.
type bounded struct {
	in     io.Reader
	packed *counter
	limits Limits
	n      int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	b.n += int64(n)
	if most := b.limits.Bytes + int64(b.limits.Entries)*headerBytes; b.n > most {
		return n, refused("it unpacks to more than %d bytes; disk images belong in a registry, not in the source", most)
	}
	if b.n > b.limits.RatioFrom && b.n/b.limits.Ratio > b.packed.n {
		return n, refused("it is a compression bomb: %d bytes become more than %d", b.packed.n, b.n)
	}
	return n, err //nolint:wrapcheck // a reader's error is its own
}
