package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
)

// noHash stands for a reference that is not there.
const noHash = "0000000000000000000000000000000000000000"

// Update moves one reference of a server.
type Update struct {
	// Ref in full.
	Ref string
	// Old is where it must be, empty when it must not be there; New is where it goes.
	Old, New string
}

// Advertised is the hash that a reference has on the server, or empty.
func (s *Session) Advertised(ref string) string {
	for _, r := range s.refs {
		if r.Name == ref {
			return r.Hash
		}
	}
	return ""
}

// Push sends a pack and moves a reference. What the server refuses is a RemoteError.
func (s *Session) Push(ctx context.Context, u Update, pack io.Reader) error {
	old := u.Old
	if old == "" {
		old = noHash
	}
	caps := " report-status agent=" + strings.ReplaceAll(userAgent, " ", "-")
	_, banded := s.caps["side-band-64k"]
	if banded {
		caps += " side-band-64k"
	}
	body := appendMark(appendLine(nil, old+" "+u.New+" "+u.Ref+"\x00"+caps), flush)
	r, err := s.talk.send(ctx, s.last, io.MultiReader(bytes.NewReader(body), pack))
	if err != nil {
		return err //nolint:wrapcheck // of this package
	}
	s.last = r
	if !banded {
		return report(r)
	}
	const longest = 1 << 20
	var inner limited
	inner.left = longest
	if err := demultiplex(r, &inner); err != nil {
		return err
	}
	return report(newReader(&inner.Buffer))
}

// limited is a buffer that does not grow for ever.
type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	if l.left -= len(b); l.left < 0 {
		return 0, fmt.Errorf("%w: the report of a push is too long", ErrTooLarge)
	}
	return l.Buffer.Write(b) //nolint:wrapcheck // it never fails
}

// report reads how a push went.
func report(r *reader) error {
	for {
		kind, line, err := r.text()
		switch {
		case err != nil:
			return err
		case kind != data:
			return nil
		case line == "unpack ok", strings.HasPrefix(line, "ok "):
		default:
			return &RemoteError{Text: printable(line)}
		}
	}
}
