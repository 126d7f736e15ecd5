package foreign

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// The parts of the NBD protocol that reading needs: the fixed newstyle handshake, structured replies and the metadata
// context of allocation. Numbers are big-endian.
const (
	magicHello   = 0x4e42444d41474943 // "NBDMAGIC"
	magicOption  = 0x49484156454f5054 // "IHAVEOPT"
	magicAnswer  = 0x3e889045565a9
	magicRequest = 0x25609513
	magicReply   = 0x668e33ef

	flagsFixedNoZeroes = 3

	optGo, optStructured, optSetMeta = 7, 8, 10
	repAck, repInfo, repMeta         = 1, 3, 4
	repError                         = 1 << 31
	infoExport                       = 0

	cmdRead, cmdBlockStatus = 0, 7

	chunkDone                                           = 1
	chunkNone, chunkData, chunkHole, chunkStatus        = 0, 1, 2, 5
	chunkError                                          = 1 << 15
	extentZero                                          = 2
	maxControl                                          = 1 << 20 // bytes of an answer that is no data
	maxSpan                                      int64  = 1 << 31 // bytes that one question for extents covers
	allocation                                   string = "base:allocation"
)

var errProtocol = errors.New("the decoder broke the protocol")

// client reads a disk from an NBD server, one request at a time.
type client struct {
	conn   net.Conn
	answer time.Duration
	size   int64

	mu     sync.Mutex
	handle uint64
}

// handshake agrees on structured replies and allocation, and learns the size of the disk.
func handshake(conn net.Conn, answer time.Duration) (*client, error) {
	c := &client{conn: conn, answer: answer}
	if err := c.arm(); err != nil {
		return nil, err
	}
	hello := make([]byte, 18)
	if _, err := io.ReadFull(conn, hello); err != nil {
		return nil, fmt.Errorf("read greeting: %w", err)
	}
	if binary.BigEndian.Uint64(hello) != magicHello || binary.BigEndian.Uint64(hello[8:]) != magicOption {
		return nil, fmt.Errorf("%w: greeting %x", errProtocol, hello)
	}
	if err := c.send(binary.BigEndian.AppendUint32(nil, flagsFixedNoZeroes)); err != nil {
		return nil, err
	}
	if err := c.option(optStructured, nil, nil); err != nil {
		return nil, err
	}
	contexts := binary.BigEndian.AppendUint32(nil, 0) // of the export without a name
	contexts = binary.BigEndian.AppendUint32(contexts, 1)
	contexts = binary.BigEndian.AppendUint32(contexts, uint32(len(allocation)))
	if err := c.option(optSetMeta, append(contexts, allocation...), nil); err != nil {
		return nil, err
	}
	return c, c.option(optGo, make([]byte, 6), c.learn)
}

// learn takes the size of the disk from an answer to optGo.
func (c *client) learn(kind uint32, data []byte) {
	if kind == repInfo && len(data) >= 10 && binary.BigEndian.Uint16(data) == infoExport {
		c.size = int64(binary.BigEndian.Uint64(data[2:]))
	}
}

// option asks for something and shows each answer but the last.
func (c *client) option(option uint32, data []byte, show func(kind uint32, data []byte)) error {
	m := binary.BigEndian.AppendUint64(nil, magicOption)
	m = binary.BigEndian.AppendUint32(m, option)
	m = binary.BigEndian.AppendUint32(m, uint32(len(data)))
	if err := c.send(append(m, data...)); err != nil {
		return err
	}
	for {
		head := make([]byte, 20)
		if _, err := io.ReadFull(c.conn, head); err != nil {
			return fmt.Errorf("read answer to option %d: %w", option, err)
		}
		kind, length := binary.BigEndian.Uint32(head[12:]), binary.BigEndian.Uint32(head[16:])
		if binary.BigEndian.Uint64(head) != magicAnswer || binary.BigEndian.Uint32(head[8:]) != option || length > maxControl {
			return fmt.Errorf("%w: answer %x to option %d", errProtocol, head, option)
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(c.conn, body); err != nil {
			return fmt.Errorf("read answer to option %d: %w", option, err)
		}
		switch {
		case kind == repAck:
			return nil
		case kind&repError != 0:
			return fmt.Errorf("%w: option %d refused: %x %q", errProtocol, option, kind, body)
		case show != nil:
			show(kind, body)
		}
	}
}

func (c *client) arm() error {
	if err := c.conn.SetDeadline(time.Now().Add(c.answer)); err != nil {
		return fmt.Errorf("set deadline: %w", err)
	}
	return nil
}

func (c *client) send(b []byte) error {
	if _, err := c.conn.Write(b); err != nil {
		return fmt.Errorf("ask the decoder: %w", err)
	}
	return nil
}

// request sends a command and hands every chunk of its reply to take.
func (c *client) request(command uint16, off int64, length uint32, take func(kind uint16, size uint32) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.arm(); err != nil {
		return err
	}
	c.handle++
	m := binary.BigEndian.AppendUint32(nil, magicRequest)
	m = binary.BigEndian.AppendUint16(m, 0)
	m = binary.BigEndian.AppendUint16(m, command)
	m = binary.BigEndian.AppendUint64(m, c.handle)
	m = binary.BigEndian.AppendUint64(m, uint64(off))
	if err := c.send(binary.BigEndian.AppendUint32(m, length)); err != nil {
		return err
	}
	for {
		head := make([]byte, 20)
		if _, err := io.ReadFull(c.conn, head); err != nil {
			return fmt.Errorf("read reply: %w", err)
		}
		flags, kind, size := binary.BigEndian.Uint16(head[4:]), binary.BigEndian.Uint16(head[6:]), binary.BigEndian.Uint32(head[16:])
		if binary.BigEndian.Uint32(head) != magicReply || binary.BigEndian.Uint64(head[8:]) != c.handle {
			return fmt.Errorf("%w: reply %x", errProtocol, head)
		}
		if err := c.chunk(kind, size, take); err != nil {
			return err
		}
		if flags&chunkDone != 0 {
			return nil
		}
	}
}

func (c *client) chunk(kind uint16, size uint32, take func(kind uint16, size uint32) error) error {
	switch {
	case kind == chunkNone && size == 0:
		return nil
	case kind&chunkError != 0:
		return c.failure(size)
	}
	return take(kind, size)
}

// failure reads an error of the server: a number, the length of a message, the message.
func (c *client) failure(size uint32) error {
	if size < 6 || size > maxControl {
		return fmt.Errorf("%w: an error of %d bytes", errProtocol, size)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(c.conn, body); err != nil {
		return fmt.Errorf("read reply: %w", err)
	}
	text := body[6:]
	text = text[:min(len(text), int(binary.BigEndian.Uint16(body[4:])))]
	return fmt.Errorf("the decoder answers with error %d: %q", binary.BigEndian.Uint32(body), text)
}

// read fills p with the bytes at off.
func (c *client) read(p []byte, off int64) error {
	left := len(p)
	err := c.request(cmdRead, off, uint32(len(p)), func(kind uint16, size uint32) error {
		into, err := c.place(p, off, kind, size)
		if err != nil {
			return err
		}
		left -= len(into)
		if kind == chunkHole {
			clear(into)
			return nil
		}
		if _, err := io.ReadFull(c.conn, into); err != nil {
			return fmt.Errorf("read reply: %w", err)
		}
		return nil
	})
	if err == nil && left != 0 {
		err = fmt.Errorf("%w: %d of %d bytes are missing", errProtocol, left, len(p))
	}
	return err
}

// place finds where in p, which begins at off, a chunk belongs.
func (c *client) place(p []byte, off int64, kind uint16, size uint32) ([]byte, error) {
	want := map[uint16]uint32{chunkData: 8, chunkHole: 12}[kind]
	if want == 0 || size < want || kind == chunkHole && size != want {
		return nil, fmt.Errorf("%w: chunk of kind %d and %d bytes", errProtocol, kind, size)
	}
	head := make([]byte, want)
	if _, err := io.ReadFull(c.conn, head); err != nil {
		return nil, fmt.Errorf("read reply: %w", err)
	}
	length := int64(size) - int64(want)
	if kind == chunkHole {
		length = int64(binary.BigEndian.Uint32(head[8:]))
	}
	at := int64(binary.BigEndian.Uint64(head)) - off
	if at < 0 || at > int64(len(p)) || length > int64(len(p))-at {
		return nil, fmt.Errorf("%w: a chunk of %d bytes lies outside of what was asked for", errProtocol, length)
	}
	return p[at : at+length], nil
}

// nextData finds the next stretch at or after off that does not read as zeros; io.EOF when there is none.
func (c *client) nextData(off int64) (start, end int64, err error) {
	for off < c.size {
		zero, length, err := c.extent(off)
		if err != nil {
			return 0, 0, err
		}
		if !zero {
			return off, off + length, nil
		}
		off += length
	}
	return 0, 0, io.EOF
}

// extent asks how the disk goes on at off.
func (c *client) extent(off int64) (zero bool, length int64, err error) {
	err = c.request(cmdBlockStatus, off, uint32(min(maxSpan, c.size-off)), func(kind uint16, size uint32) error {
		if kind != chunkStatus || size < 12 || size > maxControl {
			return fmt.Errorf("%w: chunk of kind %d and %d bytes", errProtocol, kind, size)
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(c.conn, body); err != nil {
			return fmt.Errorf("read reply: %w", err)
		}
		length = min(int64(binary.BigEndian.Uint32(body[4:])), c.size-off)
		zero = binary.BigEndian.Uint32(body[8:])&extentZero != 0
		return nil
	})
	if err == nil && length <= 0 {
		err = fmt.Errorf("%w: an extent without length", errProtocol)
	}
	return zero, length, err
}
