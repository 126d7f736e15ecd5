package git

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"slipway.dev/slipway/internal/scrub"
	"slipway.dev/slipway/sources/tree"
)

const (
	// maxModuleDepth is how many submodules may stand inside each other.
	maxModuleDepth = 4
	// maxModules is how many submodules a checkout may have altogether.
	maxModules = 64
	// maxModulesFile is the size of the largest .gitmodules, in bytes.
	maxModulesFile = 1 << 20
)

// errModule marks a submodule that is not fetched.
var errModule = fmt.Errorf("submodule: %w", ErrRefused)

// descend fetches submodules.
func (f *checkout) descend(ctx context.Context, parent Remote, modules []module, at place) error {
	for _, m := range modules {
		if at.depth+1 > maxModuleDepth {
			return parent.errorf("fetch", errModule, "%s is more than %d submodules deep", m.dir, maxModuleDepth)
		}
		if f.modules++; f.modules > maxModules {
			return parent.errorf("fetch", errModule, "there are more than %d", maxModules)
		}
		remote, err := parent.module(m)
		if err != nil {
			return err
		}
		err = f.repository(ctx, remote, Revision{Ref: "HEAD", Commit: m.commit}, place{dir: m.dir, depth: at.depth + 1})
		if err != nil {
			return fmt.Errorf("submodule %s: %w", m.dir, err)
		}
	}
	return nil
}

// module is the remote of a submodule: on the same server, with the same credentials.
func (r Remote) module(m module) (Remote, error) {
	home, err := r.check("fetch")
	if err != nil {
		return Remote{}, err
	}
	u, err := resolveModule(home, m.url)
	if err != nil {
		return Remote{}, r.errorf("fetch", errModule, "%s: %s", m.dir, err)
	}
	if u.Scheme != home.Scheme || u.Hostname() != home.Hostname() || port(u) != port(home) {
		return Remote{}, r.errorf("fetch", errModule, "%s is at %s; only submodules of the same server, by the same protocol, are fetched", m.dir, scrub.URL(u.Scheme+"://"+u.Host))
	}
	out := r
	out.URL = u.String()
	return out, nil
}

// resolveModule is the URL that a .gitmodules means, seen from that of its repository.
func resolveModule(home *url.URL, raw string) (*url.URL, error) {
	u := *home
	if strings.HasPrefix(raw, "./") || strings.HasPrefix(raw, "../") {
		joined := path.Join(strings.TrimSuffix(home.Path, "/"), raw)
		if strings.Count(raw, "../") > strings.Count(strings.Trim(home.Path, "/"), "/")+1 || joined == "/" {
			return nil, errors.New("its URL leads out of the server")
		}
		u.Path, u.RawPath, u.RawQuery = joined, "", ""
		return &u, nil
	}
	if !strings.Contains(raw, "://") {
		user, rest, found := strings.Cut(raw, "@")
		host, dir, colon := strings.Cut(rest, ":")
		if !found || !colon || home.Scheme != "ssh" || strings.ContainsAny(host+user, "/ ") {
			return nil, errors.New("its URL is none of https, http and ssh")
		}
		return &url.URL{Scheme: "ssh", User: url.User(user), Host: host, Path: "/" + strings.TrimPrefix(dir, "/")}, nil
	}
	parsed, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("its URL does not parse")
	}
	if _, err := (Remote{URL: raw}).check("fetch"); err != nil {
		return nil, errors.New("its URL is none that is allowed")
	}
	return parsed, nil
}

// locate finds out where submodules come from. Their directories are those of the tree, below dir.
func locate(modules []module, urls map[string]string, dir string) ([]module, error) {
	for i, m := range modules {
		local := m.dir
		if dir != "" {
			local = strings.TrimPrefix(m.dir, dir+"/")
		}
		from, found := urls[local]
		if !found {
			return nil, fmt.Errorf("%w: .gitmodules says nothing about %s", errModule, m.dir)
		}
		modules[i].url = from
	}
	return modules, nil
}

// parseModules reads a .gitmodules file: the URL for each path.
func parseModules(text []byte) (map[string]string, error) {
	if len(text) > maxModulesFile {
		return nil, fmt.Errorf("%w: .gitmodules has more than %d bytes", errModule, maxModulesFile)
	}
	m := &modulesFile{urls: map[string]string{}}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if err := m.line(strings.TrimSpace(line)); err != nil {
			return nil, fmt.Errorf("%w: .gitmodules, line %d: %w", errModule, number, err)
		}
	}
	m.section()
	return m.urls, nil
}

// modulesFile is what is known of a .gitmodules so far.
type modulesFile struct {
	urls      map[string]string
	path, url string // of the section that is read
}

// section ends a section.
func (m *modulesFile) section() {
	if m.path != "" && m.url != "" {
		m.urls[m.path] = m.url
	}
	m.path, m.url = "", ""
}

func (m *modulesFile) line(line string) error {
	if line == "" || line[0] == '#' || line[0] == ';' {
		return nil
	}
	if line[0] == '[' {
		m.section()
		return nil
	}
	key, value, err := setting(line)
	if err != nil {
		return err
	}
	switch key {
	case "path":
		clean, err := tree.Resolve(".", value)
		if err != nil || clean != value {
			return fmt.Errorf("%q is not a path in the repository", value)
		}
		m.path = value
	case "url":
		if strings.HasPrefix(value, "-") {
			return fmt.Errorf("%q is not a URL", value)
		}
		m.url = value
	}
	return nil
}

// setting reads a line "key = value".
func setting(line string) (key, value string, err error) {
	key, value, found := strings.Cut(line, "=")
	key, value = strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
	if !found {
		return key, "", nil // a switch
	}
	if inner, quoted := strings.CutPrefix(value, `"`); quoted {
		value, found = strings.CutSuffix(inner, `"`)
		if !found {
			return "", "", errors.New("a quote is not closed")
		}
		value = strings.NewReplacer(`\\`, `\`, `\"`, `"`).Replace(value)
	} else if i := strings.IndexAny(value, "#;"); i >= 0 {
		value = strings.TrimSpace(value[:i])
	}
	if strings.HasSuffix(value, `\`) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", "", errors.New("a value with a control character or a line that goes on")
	}
	return key, value, nil
}
