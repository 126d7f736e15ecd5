package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	hashA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	hashB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// script is a server whose answers are known beforehand. It keeps what it was told.
type script struct {
	answers []string
	told    []string
}

func (s *script) open(context.Context) (*reader, error) { return s.next(), nil }

func (s *script) send(_ context.Context, _ *reader, body io.Reader) (*reader, error) {
	told, err := io.ReadAll(body)
	s.told = append(s.told, string(told))
	return s.next(), err
}

func (s *script) next() *reader {
	if len(s.answers) == 0 {
		return newReader(strings.NewReader(""))
	}
	r := newReader(strings.NewReader(s.answers[0]))
	s.answers = s.answers[1:]
	return r
}

func (s *script) close() {}

func lines(list ...string) string {
	var b []byte
	for _, l := range list {
		switch l {
		case "flush":
			b = appendMark(b, flush)
		case "delim":
			b = appendMark(b, delim)
		default:
			b = appendLine(b, l)
		}
	}
	return string(b)
}

func begin(t testing.TB, answers ...string) (*Session, *script, error) {
	t.Helper()
	server := &script{answers: answers}
	s := &Session{talk: server, max: 1 << 16}
	return s, server, s.greet(t.Context())
}

func TestVersion2(t *testing.T) {
	s, server, err := begin(
		t, lines("version 2", "agent=git/2.39", "ls-refs=unborn", "fetch=shallow wait-for-done filter", "object-format=sha1", "flush"),
		lines(hashA+" HEAD symref-target:refs/heads/main", hashA+" refs/tags/v1 peeled:"+hashB, "flush"),
		lines("shallow-info", "shallow "+hashA, "delim", "packfile", "\x02working", "\x01PACK", "flush"),
	)
	if err != nil || !s.Filters() || !s.GivesAny() {
		t.Fatalf("greet: %v, filters %t", err, s.Filters())
	}
	refs, err := s.Refs(t.Context(), "HEAD", "refs/tags/")
	want := []Ref{{Name: "HEAD", Hash: hashA, Target: "refs/heads/main"}, {Name: "refs/tags/v1", Hash: hashA, Peeled: hashB}}
	if diff := cmp.Diff(want, refs); err != nil || diff != "" {
		t.Errorf("%v, refs (-want +got):\n%s", err, diff)
	}
	var pack bytes.Buffer
	if err := s.Fetch(t.Context(), Request{Wants: []string{hashA}, Depth: 1, Filter: "blob:none"}, &pack); err != nil || pack.String() != "PACK\n" {
		t.Errorf("pack %q, %v", pack.String(), err)
	}
	told := []string{
		lines("command=ls-refs", "delim", "peel", "symrefs", "ref-prefix HEAD", "ref-prefix refs/tags/", "flush"),
		lines("command=fetch", "delim", "no-progress", "ofs-delta", "want "+hashA, "deepen 1", "filter blob:none", "done", "flush"),
	}
	if diff := cmp.Diff(told, server.told); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestVersion0(t *testing.T) {
	s, server, err := begin(
		t, lines(hashA+" HEAD\x00side-band-64k ofs-delta shallow symref=HEAD:refs/heads/main filter", hashA+" refs/heads/main", hashB+" refs/tags/v1", hashA+" refs/tags/v1^{}", "flush"),
		lines("shallow "+hashA, "flush", "NAK", "\x01PACK", "flush"),
	)
	if err != nil || !s.Filters() || s.GivesAny() {
		t.Fatalf("greet: %v, filters %t, gives any %t", err, s.Filters(), s.GivesAny())
	}
	refs, err := s.Refs(t.Context(), "HEAD")
	want := []Ref{{Name: "HEAD", Hash: hashA, Target: "refs/heads/main"}, {Name: "refs/heads/main", Hash: hashA}, {Name: "refs/tags/v1", Hash: hashB, Peeled: hashA}}
	if diff := cmp.Diff(want, refs); err != nil || diff != "" {
		t.Errorf("%v, refs (-want +got):\n%s", err, diff)
	}
	var pack bytes.Buffer
	if err := s.Fetch(t.Context(), Request{Wants: []string{hashA, hashB}, Depth: 1}, &pack); err != nil || pack.String() != "PACK\n" {
		t.Errorf("pack %q, %v", pack.String(), err)
	}
	told := []string{lines("want "+hashA+" agent=git/2.0-(slipway) side-band-64k ofs-delta", "want "+hashB, "deepen 1", "flush", "done")}
	if diff := cmp.Diff(told, server.told); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestPush(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		ok     bool
	}{
		"accepted": {lines("unpack ok", "ok refs/notes/x", "flush"), true},
		"refused":  {lines("unpack ok", "ng refs/notes/x fetch first", "flush"), false},
		"broken":   {lines("unpack index-pack failed", "flush"), false},
		"cut off":  {"00", false},
	} {
		s, server, err := begin(t, lines(hashA+" refs/notes/x\x00report-status", "flush"), test.answer)
		if err != nil || s.Advertised("refs/notes/x") != hashA || s.Advertised("refs/heads/x") != "" {
			t.Fatalf("greet: %v", err)
		}
		err = s.Push(t.Context(), Update{Ref: "refs/notes/x", Old: hashA, New: hashB}, strings.NewReader("PACK"))
		if (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
		if want := lines(hashA+" "+hashB+" refs/notes/x\x00 report-status agent=git/2.0-(slipway)", "flush") + "PACK"; server.told[0] != want {
			t.Errorf("%s: told %q, want %q", name, server.told[0], want)
		}
	}
}

func TestRemoteErrorsArePrintable(t *testing.T) {
	_, _, err := begin(t, lines("ERR access denied\x1b[2J\nor not found "+strings.Repeat("é", 400)))
	var said *RemoteError
	if !errors.As(err, &said) || strings.ContainsAny(said.Text, "\x1b\n") || len(said.Text) > 310 {
		t.Errorf("error = %v", err)
	}
}

// FuzzSession lets a server say anything: it may fail, but neither panic nor give out what was not checked.
func FuzzSession(f *testing.F) {
	f.Add([]byte(lines("version 2", "ls-refs", "fetch=filter", "flush")), []byte(lines(hashA+" HEAD symref-target:refs/heads/main", "flush")), []byte(lines("packfile", "\x01PACK", "flush")))
	f.Add([]byte(lines(hashA+" HEAD\x00side-band-64k symref=HEAD:refs/heads/main", "flush")), []byte{}, []byte(lines("NAK", "\x01PACK", "flush")))
	f.Add([]byte(lines("version 1", hashA+" refs/tags/x\x00", hashB+" refs/tags/x^{}", "flush")), []byte("0004"), []byte("0003"))
	f.Fuzz(func(t *testing.T, greeting, refs, pack []byte) {
		answers := []string{string(greeting), string(refs), string(pack)}
		if !bytes.HasPrefix(greeting, []byte("000eversion 2")) {
			answers = []string{string(greeting), string(pack)}
		}
		s, _, err := begin(t, answers...)
		if err != nil {
			return
		}
		list, err := s.Refs(t.Context(), "HEAD")
		for _, r := range list {
			if err == nil && r.Hash != "unborn" && !isHash(r.Hash) || r.Peeled != "" && !isHash(r.Peeled) {
				t.Errorf("a reference of %q", fmt.Sprint(r))
			}
		}
		var out bytes.Buffer
		_ = s.Fetch(t.Context(), Request{Wants: []string{hashA}, Depth: 1}, &out)
		if out.Len() > len(pack) {
			t.Errorf("%d bytes of a pack came out of %d", out.Len(), len(pack))
		}
	})
}

func FuzzRedirect(f *testing.F) {
	f.Add("https://git.example/x/info/refs?service=git-upload-pack", "/y")
	f.Add("https://git.example/x", "http://git.example/x")
	f.Add("http://git.example/x", "//me:pw@other/x")
	f.Fuzz(func(t *testing.T, from, to string) {
		u, err := url.Parse(from)
		if err != nil {
			return
		}
		got, err := target(u, to)
		if err != nil {
			return
		}
		if got.User != nil || got.Host == "" || got.Scheme != "https" && (got.Scheme != "http" || u.Scheme == "https") {
			t.Errorf("from %s to %s leads to %s", from, to, got)
		}
	})
}
