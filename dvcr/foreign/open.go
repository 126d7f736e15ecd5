package foreign

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"slipway.dev/slipway/dvcr/disk"
)

// Limits of a child; zero values mean the defaults.
type Limits struct {
	// Memory is the child's address space in bytes; 1 GiB by default.
	Memory uint64
	// CPU is how much processor time it may take: by default a minute, and a second for each 16 MiB of the file.
	CPU time.Duration
	// Answer is how long the child may think about one read; two minutes by default.
	Answer time.Duration
}

func (l Limits) withDefaults(size int64) Limits {
	if l.Memory == 0 {
		l.Memory = 1 << 30
	}
	if l.CPU == 0 {
		l.CPU = time.Minute + time.Duration(size>>24)*time.Second
	}
	if l.Answer == 0 {
		l.Answer = 2 * time.Minute
	}
	return l
}

// Open starts a child that decodes the image in file and returns the disk in it. The file is given to the child as it is
// open, and stays the caller's. Dir takes a socket while the source is open. Close, or the end of ctx, ends the child.
//
// The image must have passed Check.
func Open(ctx context.Context, file *os.File, format, dir string, l Limits) (disk.Source, error) {
	return open(ctx, input{file: file, name: inherited, format: format}, dir, l)
}

// OpenOwn is Open for the file of an image that this platform wrote itself, in any format that QEMU knows: its backing files
// are followed, and found relative to it. Nothing that came from outside may be opened so.
func OpenOwn(ctx context.Context, path, format, dir string, l Limits) (disk.Source, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s image: %w", format, err)
	}
	defer file.Close()
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("open %s image: %w", format, err)
	}
	return open(ctx, input{file: file, name: path, format: format}, dir, l)
}

// input is what the child reads: a file that it inherits, by the name under which it finds it.
type input struct {
	file         *os.File
	name, format string
}

// inherited is how a child names the file that it was given.
const inherited = "/proc/self/fd/3"

func open(ctx context.Context, in input, dir string, l Limits) (disk.Source, error) {
	info, err := in.file.Stat()
	if err != nil {
		return nil, fmt.Errorf("open %s image: %w", in.format, err)
	}
	l = l.withDefaults(info.Size())
	own, err := os.MkdirTemp(dir, "nbd-")
	if err != nil {
		return nil, fmt.Errorf("open %s image: make a directory for the socket: %w", in.format, err)
	}
	s, err := connect(ctx, in, filepath.Join(own, "s"), l)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open %s image: %w", in.format, err), os.RemoveAll(own))
	}
	s.dir = own
	return &source{Source: disk.NewMapped(s, s.client.size), session: s}, nil
}

func connect(ctx context.Context, in input, socket string, l Limits) (*session, error) {
	c, err := start(ctx, in, socket, l)
	if err != nil {
		return nil, err
	}
	conn, err := c.dial(ctx, socket)
	if err != nil {
		c.end()
		return nil, err
	}
	client, err := handshake(conn, l.Answer)
	if err != nil {
		conn.Close()
		return nil, c.explain(err)
	}
	return &session{child: c, conn: conn, client: client}, nil
}

// session is a disk behind a child.
type session struct {
	child  *child
	conn   net.Conn
	client *client
	dir    string
}

// ReadAt implements disk.Extents.
func (s *session) ReadAt(p []byte, off int64) (int, error) {
	if err := s.client.read(p, off); err != nil {
		return 0, s.child.explain(err)
	}
	return len(p), nil
}

// Next implements disk.Extents.
func (s *session) Next(off int64) (start, end int64, err error) {
	start, end, err = s.client.nextData(off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = s.child.explain(err)
	}
	return start, end, err
}

// source ends the child when it is closed.
type source struct {
	disk.Source
	session *session
}

// Close implements disk.Source.
func (s *source) Close() error {
	s.session.conn.Close()
	s.session.child.end()
	if err := os.RemoveAll(s.session.dir); err != nil {
		return fmt.Errorf("remove the decoder's socket: %w", err)
	}
	return nil
}
