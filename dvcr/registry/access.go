package registry

import (
	"crypto/hmac"
	"crypto/sha256"
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
	controllerName = "controller"
	readerName     = "reader"
	readerPrefix   = "reader."
	writerPrefix   = "writer."
	importerPrefix = "importer."
)

// identity is who sends a request, and what that one may do.
type identity struct {
	name      string
	all       bool   // everything
	namespace string // what a user of a namespace is confined to
	write     bool
	only      string // the one repository that an importer may write
}

// identify tells a derived user's rights from its name.
func identify(name string) (identity, bool) {
	switch name {
	case controllerName:
		return identity{name: name, all: true}, true
	case readerName:
		return identity{name: name}, true
	}
	if ns, ok := strings.CutPrefix(name, readerPrefix); ok && ns != "" {
		return identity{name: name, namespace: ns}, true
	}
	if ns, ok := strings.CutPrefix(name, writerPrefix); ok && ns != "" {
		return identity{name: name, namespace: ns, write: true}, true
	}
	if repository, ok := strings.CutPrefix(name, importerPrefix); ok && repository != "" {
		_, namespace := ownerOf(repository)
		return identity{name: name, namespace: namespace, only: repository}, true
	}
	return identity{}, false
}

// ownerOf splits a repository's name: its kind, and the namespace that it belongs to, if any.
func ownerOf(repository string) (kind, namespace string) {
	kind, rest, _ := strings.Cut(repository, "/")
	namespace, name, _ := strings.Cut(rest, "/")
	if (kind != "vi" && kind != "vd") || name == "" {
		return kind, ""
	}
	return kind, namespace
}

// may decides whether an action on a repository is allowed:
//
//	who                    cvi/*   vi/<own>/*, vd/<own>/*   all else   <repository>
//	administrator          all     all                      all        all
//	reader                 pull    pull                     pull       pull
//	reader.<ns>            pull    pull                     -
//	writer.<ns>            pull    pull, push, delete       -
//	importer.<repository>  pull    pull                     -          pull, push
func (i identity) may(action, repository string) bool {
	if i.all {
		return true
	}
	if i.only == repository && i.only != "" {
		return action == actionPull || action == actionPush
	}
	if i.namespace == "" && i.only == "" {
		return action == actionPull
	}
	kind, namespace := ownerOf(repository)
	switch {
	case kind == "cvi" && repository != "cvi/" && repository != "cvi":
		return action == actionPull
	case namespace != "" && namespace == i.namespace:
		return action == actionPull || i.write
	}
	return false
}

// users knows who may come in.
type users struct {
	key   Key               // of derived passwords and tokens
	plain map[string]string // administrators, by name
	file  *htpasswd         // nil: none
}

// login returns who has this name and password.
func (u *users) login(name, password string) (identity, bool) {
	if want, ok := u.plain[name]; ok {
		return identity{name: name, all: true}, same(password, want)
	}
	if id, ok := identify(name); ok {
		return id, same(password, u.key.user(name).Password)
	}
	return identity{name: name, all: true}, u.file.matches(name, password)
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
