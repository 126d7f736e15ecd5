package scrub

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Mark stands where something was removed.
const Mark = "***"

// shortest is the length in bytes below which a secret is no secret and removing it would only garble texts.
const shortest = 4

var (
	userinfo = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s@"'<>]*@`)
	login    = regexp.MustCompile(`^ssh://[A-Za-z][A-Za-z0-9_-]{0,31}@$`)
	header   = regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}`)
	query    = regexp.MustCompile(`(?i)([?&;](?:sig|signature|token|access_token|private_token|client_secret|password|passwd|apikey|api_key|x-amz-signature|x-amz-security-token|x-amz-credential|x-goog-signature)=)[^&;\s"'<>]+`)
	token    = regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,})`)
	private  = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY( BLOCK)?-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY( BLOCK)?-----|\z)`)
)

// Scrubber removes some secrets and all that looks like one. The zero value knows no secrets. It prints as "(scrubber)".
type Scrubber struct {
	replace *strings.Replacer
}

// New returns a scrubber that knows these secrets.
func New(secrets ...string) Scrubber {
	var spelled []string
	for _, s := range secrets {
		if s = strings.TrimSpace(s); len(s) < shortest {
			continue
		}
		spelled = append(spelled, s, url.QueryEscape(s), url.PathEscape(s),
			base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)))
	}
	// The longest first: one secret may be the beginning of another.
	slices.SortFunc(spelled, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range slices.Compact(spelled) {
		pairs = append(pairs, s, Mark)
	}
	return Scrubber{replace: strings.NewReplacer(pairs...)}
}

// String hides the secrets from logs.
func (Scrubber) String() string { return "(scrubber)" }

// GoString hides the secrets from logs.
func (Scrubber) GoString() string { return "(scrubber)" }

// Text returns a text without credentials.
func (s Scrubber) Text(text string) string {
	if s.replace != nil {
		text = s.replace.Replace(text)
	}
	text = private.ReplaceAllString(text, Mark)
	text = userinfo.ReplaceAllStringFunc(text, anonymous)
	text = header.ReplaceAllString(text, "$1 "+Mark)
	text = query.ReplaceAllString(text, "$1"+Mark)
	return token.ReplaceAllString(text, Mark)
}

// anonymous takes user information from the beginning of a URL, but for the user name of SSH, which is no secret.
func anonymous(url string) string {
	if login.MatchString(url) {
		return url
	}
	return userinfo.ReplaceAllString(url, "$1")
}

// URL returns an address without user information and query, either of which may hold credentials.
func URL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(URL that does not parse)"
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}

// Error returns an error whose text has no credentials; errors.Is and errors.As see through it. Nil stays nil.
func (s Scrubber) Error(err error) error {
	if err == nil {
		return nil
	}
	clean := s.Text(err.Error())
	if clean == err.Error() {
		return err
	}
	return &scrubbed{text: clean, err: err}
}

// scrubbed hides the text of an error, not what it is.
type scrubbed struct {
	text string
	err  error
}

func (e *scrubbed) Error() string { return e.text }
func (e *scrubbed) Unwrap() error { return e.err }
func (e *scrubbed) GoString() string {
	return e.text
}
