package oci

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// Login is an entry of a Docker configuration.
type Login struct {
	// Scope is a host, with a port and the beginning of a path where they matter. Its first label may be "*".
	Scope string
	// Username and Password, or IdentityToken, or RegistryToken.
	Username, Password, IdentityToken, RegistryToken string
}

// ParseDockerConfig reads the content of ~/.docker/config.json, or of the key .dockerconfigjson of a Secret. Errors do
// not quote it.
func ParseDockerConfig(raw []byte) ([]Login, error) {
	var config struct {
		Auths map[string]struct {
			Auth          string `json:"auth"`
			Username      string `json:"username"`
			Password      string `json:"password"`
			IdentityToken string `json:"identitytoken"`
			RegistryToken string `json:"registrytoken"`
		} `json:"auths"`
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, errors.New("the Docker configuration is not JSON of the form {\"auths\": {\"host\": {\"auth\": \"…\"}}}")
	}
	var logins []Login
	for scope, a := range config.Auths {
		l := Login{Scope: normalize(scope), Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken}
		if a.Auth != "" {
			var err error
			if l.Username, l.Password, err = decodeAuth(a.Auth); err != nil {
				return nil, fmt.Errorf("the Docker configuration's entry for %s: %w", l.Scope, err)
			}
		}
		logins = append(logins, l)
	}
	slices.SortFunc(logins, func(a, b Login) int { return strings.Compare(a.Scope, b.Scope) })
	return logins, nil
}

func decodeAuth(encoded string) (username, password string, err error) {
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", errors.New("auth is not base64")
	}
	username, password, found := strings.Cut(strings.TrimRight(string(plain), "\x00"), ":")
	if !found {
		return "", "", errors.New("auth is not user:password in base64")
	}
	return username, password, nil
}

// dockerHub is what the configuration of Docker calls its own registry.
var dockerHub = []string{"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "www.docker.io"}

func normalize(scope string) string {
	scope = strings.TrimPrefix(strings.TrimPrefix(scope, "https://"), "http://")
	host, rest, _ := strings.Cut(scope, "/")
	rest = strings.Trim(rest, "/")
	if slices.Contains(dockerHub, host) || host == "docker.io" {
		host, rest = "docker.io", strings.Trim(strings.TrimPrefix(strings.TrimPrefix(rest, "v1"), "v2"), "/")
	}
	return strings.TrimSuffix(host+"/"+rest, "/")
}

// find returns the login with the most specific scope for a repository.
func find(logins []Login, host, repository string) (best Login, found bool) {
	for _, l := range logins {
		scope, prefix, _ := strings.Cut(l.Scope, "/")
		if !hostMatches(scope, host) || !below(repository, prefix) {
			continue
		}
		if !found || len(l.Scope) > len(best.Scope) {
			best, found = l, true
		}
	}
	return best, found
}

func hostMatches(scope, host string) bool {
	if scope == host {
		return true
	}
	rest, wild := strings.CutPrefix(scope, "*.")
	_, parent, _ := strings.Cut(host, ".")
	return wild && rest == parent
}

func below(repository, prefix string) bool {
	return prefix == "" || repository == prefix || strings.HasPrefix(repository, prefix+"/")
}

func (l Login) credential() auth.Credential {
	return auth.Credential{Username: l.Username, Password: l.Password, RefreshToken: l.IdentityToken, AccessToken: l.RegistryToken}
}

// secrets are what may not stand in a text.
func (l Login) secrets() []string {
	var out []string
	for _, s := range []string{l.Password, l.IdentityToken, l.RegistryToken} {
		if s != "" {
			out = append(out, s)
		}
	}
	if l.Password != "" {
		out = append(out, base64.StdEncoding.EncodeToString([]byte(l.Username+":"+l.Password)))
	}
	return out
}
