package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
)

// Request says which objects are wanted.
type Request struct {
	// Wants are hashes.
	Wants []string
	// Depth is how many commits of history come along; zero is all.
	Depth int
	// Filter leaves objects out, as in blob:none. It is for servers that Session.Filters says do it.
	Filter string
}

// Fetch writes the pack with the wanted objects.
func (s *Session) Fetch(ctx context.Context, want Request, pack io.Writer) error {
	body := s.request0(want)
	if s.version == 2 {
		body = request2(want)
	}
	r, err := s.talk.send(ctx, s.last, bytes.NewReader(body))
	if err != nil {
		return err //nolint:wrapcheck // of this package
	}
	s.last = r
	if s.version == 2 {
		if err := skipToPack(r); err != nil {
			return err
		}
		return demultiplex(r, pack)
	}
	return s.receive0(r, want, pack)
}

func request2(want Request) []byte {
	body := appendMark(appendLine(nil, "command=fetch"), delim)
	body = appendLine(appendLine(body, "no-progress"), "ofs-delta")
	for _, w := range want.Wants {
		body = appendLine(body, "want "+w)
	}
	if want.Depth > 0 {
		body = appendLine(body, fmt.Sprintf("deepen %d", want.Depth))
	}
	if want.Filter != "" {
		body = appendLine(body, "filter "+want.Filter)
	}
	return appendMark(appendLine(body, "done"), flush)
}

// skipToPack passes over the sections before the pack.
func skipToPack(r *reader) error {
	for {
		kind, line, err := r.text()
		switch {
		case err != nil:
			return err
		case kind == data && line == "packfile":
			return nil
		case kind == flush || kind == end:
			return fmt.Errorf("%w: no pack in it", ErrProtocol)
		}
	}
}

func (s *Session) request0(want Request) []byte {
	caps := []string{"agent=" + strings.ReplaceAll(userAgent, " ", "-")}
	for _, c := range []string{"side-band-64k", "ofs-delta", "no-progress"} {
		if _, able := s.caps[c]; able {
			caps = append(caps, c)
		}
	}
	if want.Filter != "" {
		caps = append(caps, "filter")
	}
	var body []byte
	for i, w := range want.Wants {
		line := "want " + w
		if i == 0 {
			line += " " + strings.Join(caps, " ")
		}
		body = appendLine(body, line)
	}
	if want.Depth > 0 {
		body = appendLine(body, fmt.Sprintf("deepen %d", want.Depth))
	}
	if want.Filter != "" {
		body = appendLine(body, "filter "+want.Filter)
	}
	return appendLine(appendMark(body, flush), "done")
}

// receive0 reads an answer of version 0: where the history was cut, a "NAK", and the pack.
func (s *Session) receive0(r *reader, want Request, pack io.Writer) error {
	for cut := want.Depth > 0; cut; {
		kind, _, err := r.text()
		if err != nil {
			return err
		}
		cut = kind == data
	}
	kind, line, err := r.text()
	switch {
	case err != nil:
		return err
	case kind != data || line != "NAK" && !strings.HasPrefix(line, "ACK "):
		return fmt.Errorf("%w: %q in place of a pack", ErrProtocol, printable(line))
	}
	if _, able := s.caps["side-band-64k"]; able {
		return demultiplex(r, pack)
	}
	if _, err := io.Copy(pack, r.r); err != nil {
		return fmt.Errorf("receive pack: %w", err)
	}
	return nil
}

// The channels of a side band.
const (
	bandData     = 1
	bandProgress = 2
	bandError    = 3
)

// demultiplex writes the data of a side band until it ends.
func demultiplex(r *reader, w io.Writer) error {
	for {
		kind, b, err := r.next()
		switch {
		case err != nil:
			return err
		case kind != data:
			return nil
		case len(b) == 0:
			continue
		}
		switch b[0] {
		case bandData:
			if _, err := w.Write(b[1:]); err != nil {
				return err //nolint:wrapcheck // the caller's own
			}
		case bandProgress:
		case bandError:
			return &RemoteError{Text: printable(string(b[1:]))}
		default:
			return fmt.Errorf("%w: side band %d", ErrProtocol, b[0])
		}
	}
}
