package git

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// The keys of a Secret with a GitHub App. They are the ones that Flux reads.
const (
	KeyAppID           = "githubAppID"
	KeyAppInstallation = "githubAppInstallationID"
	KeyAppPrivateKey   = "githubAppPrivateKey"
	KeyAppBaseURL      = "githubAppBaseURL"
)

// defaultAppURL is GitHub's own API.
const defaultAppURL = "https://api.github.com"

const (
	// assertionLife is for how long the App's own token is good; GitHub allows ten minutes.
	assertionLife = 9 * time.Minute
	// clockSkew is by how much the server's clock may be behind ours.
	clockSkew = time.Minute
	// tokenMargin is how long before its end a token is exchanged.
	tokenMargin = 5 * time.Minute
)

// errApp marks a failed log-in as a GitHub App.
var errApp = errors.New("log in as a GitHub App")

var digits = regexp.MustCompile(`^[0-9A-Za-z.]{1,64}$`)

// App is an installation of a GitHub App. It prints as "(GitHub App)".
type App struct {
	// ID of the App, and of its installation.
	ID, Installation string
	// Key is the App's private key in PEM form.
	Key []byte
	// BaseURL of the API; empty is GitHub's own.
	BaseURL string
}

// String hides the key from logs.
func (App) String() string { return "(GitHub App)" }

// GoString hides the key from logs.
func (App) GoString() string { return "(GitHub App)" }

// parseApp reads the App of a Secret; nil when it has none.
func parseApp(secret map[string][]byte) *App {
	if secret[KeyAppID] == nil && secret[KeyAppPrivateKey] == nil && secret[KeyAppInstallation] == nil {
		return nil
	}
	return &App{
		ID: text(secret, KeyAppID), Installation: text(secret, KeyAppInstallation), Key: secret[KeyAppPrivateKey],
		BaseURL: strings.TrimSuffix(text(secret, KeyAppBaseURL), "/"),
	}
}

// problem says what is wrong with an App, or "".
func (a *App) problem() string {
	u, err := url.Parse(a.baseURL())
	switch {
	case !digits.MatchString(a.ID):
		return "githubAppID of the Secret is missing or not an ID"
	case !digits.MatchString(a.Installation):
		return "githubAppInstallationID of the Secret is missing or not an ID"
	case err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil:
		return "githubAppBaseURL of the Secret is not an https URL; write https://HOST/api/v3"
	}
	if _, err := a.key(); err != nil {
		return "githubAppPrivateKey of the Secret is missing or not an RSA private key in PEM form"
	}
	return ""
}

func (a *App) baseURL() string {
	if a.BaseURL == "" {
		return defaultAppURL
	}
	return a.BaseURL
}

func (a *App) key() (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(a.Key)
	if block == nil {
		return nil, errors.New("not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("parse key: %w", err)
	}
	private, able := key.(*rsa.PrivateKey)
	if !able {
		return nil, errors.New("not an RSA key")
	}
	return private, nil
}

// assertion is the token with which an App shows who it is.
func (a *App) assertion(now time.Time) (string, error) {
	key, err := a.key()
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{"iat": now.Add(-clockSkew).Unix(), "exp": now.Add(assertionLife).Unix(), "iss": a.ID})
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	enc := base64.RawURLEncoding
	signed := enc.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + enc.EncodeToString(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return signed + "." + enc.EncodeToString(signature), nil
}

// tokens keeps the tokens of installations until they expire.
type tokens struct {
	mu   sync.Mutex
	kept map[[sha256.Size]byte]token
}

type token struct {
	text    string
	expires time.Time
}

func newTokens() *tokens { return &tokens{kept: map[[sha256.Size]byte]token{}} }

func (t *tokens) get(id [sha256.Size]byte, now time.Time) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for other, kept := range t.kept {
		if !now.Before(kept.expires) {
			delete(t.kept, other)
		}
	}
	kept, found := t.kept[id]
	return kept.text, found && now.Add(tokenMargin).Before(kept.expires)
}

func (t *tokens) put(id [sha256.Size]byte, kept token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept[id] = kept
}

// withToken exchanges a GitHub App for a token of its installation.
func (c *Client) withToken(ctx context.Context, r Remote) (Remote, error) {
	app := r.Auth.App
	if app == nil {
		return r, nil
	}
	id := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", app.baseURL(), app.ID, app.Installation, app.Key, r.Auth.CA))
	text, found := c.tokens.get(id, c.clock.Now())
	if !found {
		fresh, err := c.exchange(ctx, r)
		if err != nil {
			return r, fmt.Errorf("%w: %w", errApp, err)
		}
		c.tokens.put(id, fresh)
		text = fresh.text
	}
	r.Auth.Username, r.Auth.Password, r.Auth.App = "x-access-token", text, nil
	return r, nil
}

// exchange asks the API for a token.
func (c *Client) exchange(ctx context.Context, r Remote) (token, error) {
	app := r.Auth.App
	assertion, err := app.assertion(c.clock.Now())
	if err != nil {
		return token{}, err
	}
	u, err := url.Parse(app.baseURL() + "/app/installations/" + url.PathEscape(app.Installation) + "/access_tokens")
	if err != nil {
		return token{}, fmt.Errorf("make request: %w", err)
	}
	r.Auth.Cert, r.Auth.Key = nil, nil // they are for the repository's host
	web, err := c.web(r, u, "Bearer "+assertion)
	if err != nil {
		return token{}, err
	}
	defer web.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader([]byte("{}")))
	if err != nil {
		return token{}, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("User-Agent", "slipway")
	res, err := web.RoundTrip(req)
	if err != nil {
		return token{}, fmt.Errorf("ask for a token: %w", err)
	}
	defer res.Body.Close() //nolint:errcheck // a reader has nothing to lose when it is closed
	return readToken(res, u.Host, c.clock.Now())
}

func readToken(res *http.Response, host string, now time.Time) (token, error) {
	const longest = 64 << 10
	body, err := io.ReadAll(io.LimitReader(res.Body, longest))
	if err != nil {
		return token{}, fmt.Errorf("read the token: %w", err)
	}
	if res.StatusCode != http.StatusCreated {
		var said struct{ Message string }
		_ = json.Unmarshal(body, &said)
		return token{}, fmt.Errorf("the API at %s answers with status %d: %.200q", host, res.StatusCode, said.Message)
	}
	var got struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal(body, &got); err != nil || got.Token == "" || strings.ContainsAny(got.Token, "\r\n") || !got.Expires.After(now) {
		return token{}, fmt.Errorf("the API at %s answers without a token that is valid", host)
	}
	return token{text: got.Token, expires: got.Expires}, nil
}
