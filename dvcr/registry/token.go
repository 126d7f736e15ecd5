package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/utils/clock"
)

const (
	// TokenPath is where clients exchange a password for a token.
	TokenPath = "/auth/token"

	service       = "slipway-dvcr"
	tokenLifetime = 10 * time.Minute
)

// tokens makes and reads bearer tokens. A token says who its bearer is and until when; what that one may do is decided at each
// request, so a scope in the request for a token can narrow nothing that matters and widen nothing at all.
type tokens struct {
	key   []byte
	clock clock.PassiveClock
}

type claims struct {
	Name    string `json:"sub"`
	Expires int64  `json:"exp"`
}

func (t *tokens) issue(name string) (string, error) {
	b, err := json.Marshal(claims{Name: name, Expires: t.clock.Now().Add(tokenLifetime).Unix()})
	if err != nil {
		return "", fmt.Errorf("encode token: %w", err)
	}
	body := base64.RawURLEncoding.EncodeToString(b)
	return body + "." + t.sign(body), nil
}

func (t *tokens) sign(body string) string {
	h := hmac.New(sha256.New, t.key)
	h.Write([]byte("token:" + body))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

var errToken = errors.New("the token is not valid any more, or never was")

// read returns whose token it is.
func (t *tokens) read(token string) (identity, error) {
	body, signature, _ := strings.Cut(token, ".")
	if !hmac.Equal([]byte(signature), []byte(t.sign(body))) {
		return identity{}, errToken
	}
	b, err := base64.RawURLEncoding.DecodeString(body)
	var c claims
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || t.clock.Now().Unix() >= c.Expires {
		return identity{}, errToken
	}
	if id, ok := identify(c.Name); ok {
		return id, nil
	}
	return identity{name: c.Name, all: true}, nil
}

// tokenURL is where the client that sends r finds TokenPath: at the address by which it came.
func tokenURL(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https" {
		scheme = "https"
	}
	return scheme + "://" + r.Host + TokenPath
}

// serveToken exchanges a password for a token, as Docker's token protocol wants it.
func (g *guard) serveToken(w http.ResponseWriter, r *http.Request) {
	name, password, ok := r.BasicAuth()
	if r.Method == http.MethodPost { // OAuth2 as containerd and oras speak it
		name, password, ok = r.PostFormValue("username"), r.PostFormValue("password"), true
	}
	id, valid := g.users.login(name, password)
	if !ok || !valid {
		w.Header().Set("WWW-Authenticate", fmt.Sprintf("Basic realm=%q", realm))
		http.Error(w, errCredentials.Error(), http.StatusUnauthorized)
		return
	}
	token, err := g.tokens.issue(id.name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{ // a client that went away needs no token
		"token": token, "access_token": token, "token_type": "Bearer",
		"expires_in": int(tokenLifetime.Seconds()), "issued_at": g.tokens.clock.Now().UTC().Format(time.RFC3339),
	})
}
