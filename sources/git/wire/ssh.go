package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// shell speaks over one SSH connection, on which everything is said.
type shell struct {
	dial    func(context.Context) (*ssh.Client, error)
	path    string
	service string
	version int

	conn   *ssh.Client
	in     io.WriteCloser
	stderr stderr
	stop   func() bool
}

// stderr keeps the beginning of what the server complains about.
type stderr struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *stderr) Write(b []byte) (int, error) {
	const enough = 1 << 10
	s.mu.Lock()
	defer s.mu.Unlock()
	if room := enough - s.text.Len(); room > 0 {
		s.text.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

func (s *stderr) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return printable(s.text.String())
}

func (s *shell) open(ctx context.Context) (*reader, error) {
	conn, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	s.conn = conn
	s.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	r, err := s.start()
	if err != nil {
		s.close()
		return nil, err
	}
	if _, err := r.r.Peek(4); err != nil {
		defer s.close()
		return nil, s.complaint(ctx, err)
	}
	return r, nil
}

func (s *shell) start() (*reader, error) {
	session, err := s.conn.NewSession()
	if err != nil {
		return nil, fmt.Errorf("open SSH session: %w", err)
	}
	session.Stderr = &s.stderr
	if s.version == 2 {
		_ = session.Setenv("GIT_PROTOCOL", "version=2") // a server that does not take it speaks version 0
	}
	out, err := session.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("read from SSH session: %w", err)
	}
	if s.in, err = session.StdinPipe(); err != nil {
		return nil, fmt.Errorf("write to SSH session: %w", err)
	}
	if err := session.Start(s.service + " " + quote(s.path)); err != nil {
		return nil, fmt.Errorf("run %s: %w", s.service, err)
	}
	return newReader(out), nil
}

// quote makes one word of a path for the shell at the other end.
func quote(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

// complaint makes an error of a server that went away without an answer.
func (s *shell) complaint(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("wait for %s: %w", s.service, context.Cause(ctx))
	}
	said := s.stderr.String()
	switch lower := strings.ToLower(said); {
	case said == "":
		return cut(err)
	case strings.Contains(lower, "not found"), strings.Contains(lower, "does not exist"), strings.Contains(lower, "not appear to be a git repository"):
		return fmt.Errorf("%w: %s", ErrNoRepository, said)
	}
	return errors.Join(&RemoteError{Text: said}, cut(err))
}

func (s *shell) send(_ context.Context, r *reader, body io.Reader) (*reader, error) {
	if _, err := io.Copy(s.in, body); err != nil {
		return nil, fmt.Errorf("write to SSH session: %w", err)
	}
	return r, nil
}

func (s *shell) close() {
	if s.conn == nil {
		return
	}
	s.stop()
	_ = s.conn.Close()
	s.conn = nil
}
