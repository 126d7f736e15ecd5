package registry

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/distribution/distribution/v3/registry/auth"
)

// accessControl is the name under which the library knows this package's authentication.
const accessControl = "slipway"

// registerAccess adds it to the library's table, which is one per process. Each server hands itself in by parameter.
var registerAccess = sync.OnceValue(func() error {
	return auth.Register(accessControl, func(options map[string]any) (auth.AccessController, error) {
		return options["controller"].(auth.AccessController), nil //nolint:errcheck,forcetypeassert // appConfig puts it there
	})
})

// Actions on a repository, as the registry's protocol names them.
const (
	actionPull   = "pull"
	actionPush   = "push"
	actionDelete = "delete"
)

// Names of users whose passwords follow from the server's key: they need no list, so a namespace that was made a moment ago has
// its users.
const (
	readerName   = "reader"
	readerPrefix = "reader."
	writerPrefix = "writer."
)

// identity is who sends a request, and what that one may do.
type identity struct {
	name      string
	all       bool   // everything
	namespace string // what a user of a namespace is confined to
	write     bool
}

// identify tells a derived user's rights from its name.
func identify(name string) (identity, bool) {
	if name == readerName {
		return identity{name: name}, true
	}
	if ns, ok := strings.CutPrefix(name, readerPrefix); ok && ns != "" {
		return identity{name: name, namespace: ns}, true
	}
	if ns, ok := strings.CutPrefix(name, writerPrefix); ok && ns != "" {
		return identity{name: name, namespace: ns, write: true}, true
	}
	return identity{}, false
}

// may decides whether an action on a repository is allowed:
//
//	who            cvi/*   vi/<own>/*, vd/<own>/*   all else
//	administrator  all     all                      all
//	reader         pull    pull                     pull
//	reader.<ns>    pull    pull                     -
//	writer.<ns>    pull    pull, push, delete       -
func (i identity) may(action, repository string) bool {
	if i.all {
		return true
	}
	if i.namespace == "" {
		return action == actionPull
	}
	kind, rest, _ := strings.Cut(repository, "/")
	namespace, name, _ := strings.Cut(rest, "/")
	switch {
	case kind == "cvi" && rest != "":
		return action == actionPull
	case (kind == "vi" || kind == "vd") && namespace == i.namespace && name != "":
		return action == actionPull || i.write
	}
	return false
}

// users knows who may come in.
type users struct {
	key   []byte            // of derived passwords and tokens
	plain map[string]string // administrators, by name
	file  *htpasswd         // nil: none
}

// login returns who has this name and password.
func (u *users) login(name, password string) (identity, bool) {
	if want, ok := u.plain[name]; ok {
		return identity{name: name, all: true}, same(password, want)
	}
	if id, ok := identify(name); ok {
		return id, same(password, u.derive(name))
	}
	return identity{name: name, all: true}, u.file.matches(name, password)
}

// derive makes a derived user's password.
func (u *users) derive(name string) string {
	h := hmac.New(sha256.New, u.key)
	h.Write([]byte("user:" + name))
	return hex.EncodeToString(h.Sum(nil))
}

// same compares without telling by its time where a difference is.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return hmac.Equal(x[:], y[:])
}

// guard is the access controller of one server.
type guard struct {
	users  *users
	tokens *tokens // nil: passwords only
}

// Authorized implements auth.AccessController.
func (g *guard) Authorized(r *http.Request, wanted ...auth.Access) (*auth.Grant, error) {
	id, err := g.identify(r)
	if err != nil {
		return nil, g.challenge(r, wanted, err)
	}
	grant := &auth.Grant{User: auth.UserInfo{Name: id.name}}
	for _, a := range wanted {
		if !id.allows(a) {
			return nil, g.challenge(r, wanted, fmt.Errorf("%s may not %s %s %s", id.name, a.Action, a.Type, a.Name))
		}
		grant.Resources = append(grant.Resources, a.Resource)
	}
	return grant, nil
}

func (i identity) allows(a auth.Access) bool {
	if a.Type != "repository" {
		return i.all
	}
	return i.may(a.Action, a.Name)
}

// errCredentials says no more than it must.
var errCredentials = errors.New("name or password is wrong, or there is none")

func (g *guard) identify(r *http.Request) (identity, error) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok && g.tokens != nil {
		return g.tokens.read(token)
	}
	name, password, ok := r.BasicAuth()
	if !ok {
		return identity{}, errCredentials
	}
	id, ok := g.users.login(name, password)
	if !ok {
		return identity{}, errCredentials
	}
	return id, nil
}

// challenge tells a client how to come in.
func (g *guard) challenge(r *http.Request, wanted []auth.Access, why error) error {
	header := fmt.Sprintf("Basic realm=%q", realm)
	if g.tokens != nil {
		header = fmt.Sprintf("Bearer realm=%q,service=%q", tokenURL(r), service)
		if scope := scopeOf(wanted); scope != "" {
			header += fmt.Sprintf(",scope=%q", scope)
		}
	}
	return challenge{header: header, why: why}
}

// scopeOf writes what was wanted as a client has to ask for it.
func scopeOf(wanted []auth.Access) string {
	var names []string
	actions := map[string][]string{}
	for _, a := range wanted {
		key := a.Type + ":" + a.Name
		if !slices.Contains(names, key) {
			names = append(names, key)
		}
		actions[key] = append(actions[key], a.Action)
	}
	for i, key := range names {
		names[i] = key + ":" + strings.Join(actions[key], ",")
	}
	return strings.Join(names, " ")
}

type challenge struct {
	header string
	why    error
}

func (c challenge) Error() string { return c.why.Error() }

func (c challenge) Unwrap() error { return c.why }

// SetHeaders implements auth.Challenge.
func (c challenge) SetHeaders(_ *http.Request, w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", c.header)
}
