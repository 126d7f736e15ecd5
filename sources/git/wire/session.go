package wire

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// The services of a Git server.
const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
)

// DefaultMaxRefs bounds a server's list of references, in bytes.
const DefaultMaxRefs = 32 << 20

// Endpoint is a repository on a server, and how to get there.
type Endpoint struct {
	// URL of the repository: http, https or ssh.
	URL *url.URL
	// HTTP sends requests. It follows no redirects: they are looked at here.
	HTTP http.RoundTripper
	// SSH opens a connection that is logged in.
	SSH func(context.Context) (*ssh.Client, error)
	// MaxRefs bounds the server's list of references, in bytes; zero is DefaultMaxRefs.
	MaxRefs int64
}

// Ref is a reference of a server.
type Ref struct {
	// Name in full.
	Name string
	// Hash of the object it points to, in hexadecimal digits.
	Hash string
	// Peeled is the hash of what an annotated tag points to, or empty.
	Peeled string
	// Target is the reference that a symbolic one points to, or empty.
	Target string
}

// conversation is one way to exchange bytes with a server.
type conversation interface {
	// open returns what the server says first.
	open(ctx context.Context) (*reader, error)
	// send says something and returns the answer; the reader is the one before it.
	send(ctx context.Context, r *reader, body io.Reader) (*reader, error)
	close()
}

// Session is a conversation with a server. It is for one goroutine, and for as long as the context it was opened with.
type Session struct {
	talk    conversation
	last    *reader
	version int
	caps    map[string]string
	refs    []Ref // version 0 lists them unasked
	max     int64
}

// Open begins a conversation in which objects are fetched.
func (e Endpoint) Open(ctx context.Context) (*Session, error) { return e.begin(ctx, uploadPack, 2) }

// OpenPush begins a conversation in which objects are pushed.
func (e Endpoint) OpenPush(ctx context.Context) (*Session, error) {
	return e.begin(ctx, receivePack, 0)
}

func (e Endpoint) begin(ctx context.Context, service string, version int) (*Session, error) {
	s := &Session{talk: &web{client: e.HTTP, base: e.URL, service: service, version: version}, max: e.MaxRefs}
	if e.URL.Scheme == "ssh" {
		s.talk = &shell{dial: e.SSH, path: e.URL.Path, service: service, version: version}
	}
	if s.max == 0 {
		s.max = DefaultMaxRefs
	}
	if err := s.greet(ctx); err != nil {
		s.Close()
		return nil, err
	}
	if format := s.caps["object-format"]; format != "" && format != "sha1" {
		s.Close()
		return nil, fmt.Errorf("%w: its objects are named by %s, only sha1 is spoken", ErrProtocol, printable(format))
	}
	return s, nil
}

// Close ends the conversation.
func (s *Session) Close() { s.talk.close() }

// Filters reports whether the server leaves out objects on request.
func (s *Session) Filters() bool {
	if s.version == 2 {
		return slices.Contains(strings.Fields(s.caps["fetch"]), "filter")
	}
	_, able := s.caps["filter"]
	return able
}

// GivesAny reports whether the server hands out every object by its hash, not only what references point to.
func (s *Session) GivesAny() bool {
	_, tip := s.caps["allow-tip-sha1-in-want"]
	_, reachable := s.caps["allow-reachable-sha1-in-want"]
	return s.version == 2 || tip && reachable
}

func (s *Session) greet(ctx context.Context) error {
	r, err := s.talk.open(ctx)
	if err != nil {
		return err //nolint:wrapcheck // of this package
	}
	s.last, s.caps = r, map[string]string{}
	r.left = s.max
	defer func() { r.left = -1 }()
	kind, line, err := r.text()
	switch {
	case err != nil:
		return err
	case kind == flush:
		return nil // an empty repository of an old server
	case line == "version 2":
		s.version = 2
		return s.capabilities(r)
	case line == "version 1":
		if kind, line, err = r.text(); err != nil {
			return err
		}
	}
	return s.advertised(r, kind, line)
}

// capabilities reads those of version 2, one a line.
func (s *Session) capabilities(r *reader) error {
	for {
		kind, line, err := r.text()
		if err != nil || kind != data {
			return err
		}
		name, value, _ := strings.Cut(line, "=")
		s.caps[name] = value
	}
}

// advertised reads the references of version 0; the capabilities hide behind the first.
func (s *Session) advertised(r *reader, kind packet, line string) error {
	first := true
	for ; kind == data; first = false {
		if first {
			var caps string
			line, caps, _ = strings.Cut(line, "\x00")
			s.remember(caps)
		}
		if err := s.line(line); err != nil {
			return err
		}
		var err error
		if kind, line, err = r.text(); err != nil {
			return err
		}
	}
	return nil
}

func (s *Session) remember(caps string) {
	for _, word := range strings.Fields(caps) {
		name, value, _ := strings.Cut(word, "=")
		if name == "symref" {
			from, to, _ := strings.Cut(value, ":")
			name, value = "symref:"+from, to
		}
		s.caps[name] = value
	}
}

func (s *Session) line(line string) error {
	hash, name, found := strings.Cut(line, " ")
	switch {
	case hash == "shallow":
		return nil
	case !found || !isHash(hash):
		return fmt.Errorf("%w: %q is not a reference", ErrProtocol, printable(line))
	case name == "capabilities^{}":
		return nil
	}
	if tag, peeled := strings.CutSuffix(name, "^{}"); peeled {
		if n := len(s.refs); n > 0 && s.refs[n-1].Name == tag {
			s.refs[n-1].Peeled = hash
		}
		return nil
	}
	s.refs = append(s.refs, Ref{Name: name, Hash: hash, Target: s.caps["symref:"+name]})
	return nil
}

func isHash(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == ""
}

// Refs lists the references whose names begin with one of the prefixes. Older servers list all of them.
func (s *Session) Refs(ctx context.Context, prefixes ...string) ([]Ref, error) {
	if s.version != 2 {
		return s.refs, nil
	}
	body := appendLine(nil, "command=ls-refs")
	body = appendMark(body, delim)
	body = appendLine(appendLine(body, "peel"), "symrefs")
	for _, p := range prefixes {
		body = appendLine(body, "ref-prefix "+p)
	}
	r, err := s.talk.send(ctx, s.last, bytes.NewReader(appendMark(body, flush)))
	if err != nil {
		return nil, err //nolint:wrapcheck // of this package
	}
	s.last, r.left = r, s.max
	defer func() { r.left = -1 }()
	var refs []Ref
	for {
		kind, line, err := r.text()
		if err != nil || kind != data {
			return refs, err
		}
		ref, err := parseRef(line)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
}

// parseRef reads a reference as version 2 lists it.
func parseRef(line string) (Ref, error) {
	words := strings.Split(line, " ")
	if len(words) < 2 || !isHash(words[0]) && words[0] != "unborn" || words[1] == "" {
		return Ref{}, fmt.Errorf("%w: %q is not a reference", ErrProtocol, printable(line))
	}
	ref := Ref{Name: words[1], Hash: words[0]}
	for _, attribute := range words[2:] {
		if target, found := strings.CutPrefix(attribute, "symref-target:"); found {
			ref.Target = target
		}
		if peeled, found := strings.CutPrefix(attribute, "peeled:"); found && isHash(peeled) {
			ref.Peeled = peeled
		}
	}
	return ref, nil
}
