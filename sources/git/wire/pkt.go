package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxLine is the longest line of the protocol, its length field included.
const maxLine = 65520

// A packet is a line with data or one of the marks between lines.
type packet int

const (
	data packet = iota
	flush
	delim
	end
)

// reader splits what a server says into packets.
type reader struct {
	r *bufio.Reader
	// left is how many more bytes the server may send before it says too much; negative is no limit.
	left int64
	buf  [maxLine]byte
}

func newReader(r io.Reader) *reader { return &reader{r: bufio.NewReaderSize(r, 64<<10), left: -1} }

// next returns the next packet. The bytes are good until the next call.
func (r *reader) next() (packet, []byte, error) {
	n, err := r.length()
	if err != nil {
		return data, nil, err
	}
	switch {
	case n < int(end):
		return packet(n + 1), nil, nil
	case n == 3 || n > maxLine:
		return data, nil, fmt.Errorf("%w: a line of %d bytes", ErrProtocol, n)
	}
	n -= 4
	if err := r.spend(int64(n)); err != nil {
		return data, nil, err
	}
	if _, err := io.ReadFull(r.r, r.buf[:n]); err != nil {
		return data, nil, cut(err)
	}
	return data, r.buf[:n], nil
}

func (r *reader) length() (int, error) {
	var digits [4]byte
	if _, err := io.ReadFull(r.r, digits[:]); err != nil {
		return 0, cut(err)
	}
	var raw [2]byte
	if _, err := hex.Decode(raw[:], digits[:]); err != nil {
		return 0, fmt.Errorf("%w: %q is not the length of a line", ErrProtocol, digits)
	}
	n := int(raw[0])<<8 | int(raw[1])
	return n, r.spend(4)
}

func (r *reader) spend(n int64) error {
	if r.left < 0 {
		return nil
	}
	if r.left < n {
		return fmt.Errorf("%w: the list of references is too long", ErrTooLarge)
	}
	r.left -= n
	return nil
}

// text returns the next line without its line feed. An error that the server reports is a RemoteError.
func (r *reader) text() (packet, string, error) {
	kind, b, err := r.next()
	if err != nil || kind != data {
		return kind, "", err
	}
	line := string(bytes.TrimSuffix(b, []byte("\n")))
	if said, found := strings.CutPrefix(line, "ERR "); found {
		return kind, "", &RemoteError{Text: printable(said)}
	}
	return kind, line, nil
}

// cut makes of an end that came too early an error that says so.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// printable is what a server said, short and without control characters, fit for a condition's message.
func printable(s string) string {
	const longest = 300
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	s = strings.TrimSpace(s)
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

// appendLine adds a packet with one line.
func appendLine(b []byte, line string) []byte {
	return append(fmt.Appendf(b, "%04x", len(line)+5), line+"\n"...)
}

func appendMark(b []byte, p packet) []byte {
	return fmt.Appendf(b, "%04x", int(p)-1)
}
