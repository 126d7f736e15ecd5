package scrub_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"testing"

	"slipway.dev/slipway/internal/scrub"
)

func TestText(t *testing.T) {
	const secret = "hunter2/ü+x"
	tests := map[string]struct{ in, want string }{
		"plain":                  {"cannot log in with " + secret, "cannot log in with ***"},
		"in a query":             {"x?q=" + url.QueryEscape(secret), "x?q=***"},
		"in a path":              {"/" + url.PathEscape(secret) + "/x", "/***/x"},
		"base64":                 {base64.StdEncoding.EncodeToString([]byte(secret)), "***"},
		"the longer one first":   {secret + "longer", "***"},
		"user information":       {"GET https://me:pw@host/x: no", "GET https://host/x: no"},
		"a name alone":           {"https://token123@host/x", "https://host/x"},
		"a name of SSH":          {"ssh://git@host/x", "ssh://git@host/x"},
		"a header":               {"Authorization: Bearer abcdef123", "Authorization: Bearer ***"},
		"a basic header":         {"Basic bWU6cHc=", "Basic ***"},
		"a SAS token":            {"https://x/y?sv=1&sig=abc%2Fdef&se=2", "https://x/y?sv=1&sig=***&se=2"},
		"an S3 signature":        {"https://x/y?X-Amz-Signature=abc", "https://x/y?X-Amz-Signature=***"},
		"a GitHub token":         {"ghs_abcdefghijklmnopqrstuvwxyz", "***"},
		"a GitLab token":         {"glpat-abcdefghijklmnopqrst", "***"},
		"a JWT":                  {"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOjE.c2lnbmF0dXJl", "***"},
		"a private key":          {"key -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- end", "key *** end"},
		"a private key, cut off": {"-----BEGIN OPENSSH PRIVATE KEY-----\nabc", "***"},
		"nothing":                {"refs/heads/main has no commit at https://host/a@b", "refs/heads/main has no commit at https://host/a@b"},
	}
	s := scrub.New(secret, secret+"longer", "me", "")
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := s.Text(test.in); got != test.want {
				t.Errorf("Text(%q) = %q, want %q", test.in, got, test.want)
			}
		})
	}
}

func TestURL(t *testing.T) {
	for raw, want := range map[string]string{
		"https://me:secret@host/a.git?token=secret": "https://host/a.git",
		"ssh://git@host/a.git":                      "ssh://host/a.git",
		"https://host:port/secret":                  "(URL that does not parse)",
	} {
		if got := scrub.URL(raw); got != want {
			t.Errorf("%q becomes %q, want %q", raw, got, want)
		}
	}
}

func TestErrorKeepsItsKind(t *testing.T) {
	s := scrub.New("hunter2")
	err := s.Error(fmt.Errorf("with hunter2: %w", fs.ErrNotExist))
	if !errors.Is(err, fs.ErrNotExist) || strings.Contains(fmt.Sprintf("%v %+v %#v %v", err, err, err, s), "hunter2") {
		t.Errorf("error = %v", err)
	}
	if s.Error(nil) != nil {
		t.Error("nil became an error")
	}
	if got := s.Error(fs.ErrExist); got.Error() != fs.ErrExist.Error() || errors.Unwrap(got) != nil {
		t.Error("an error without secrets was changed")
	}
}

func FuzzText(f *testing.F) {
	f.Add("https://me:hunter2@host/hunter2?sig=hunter2")
	f.Fuzz(func(t *testing.T, text string) {
		if got := scrub.New("hunter2").Text(text); strings.Contains(got, "hunter2") {
			t.Errorf("Text(%q) = %q", text, got)
		}
	})
}
