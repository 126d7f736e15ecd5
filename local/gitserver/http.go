package gitserver

import (
	"crypto/subtle"
	"net"
	"net/http"
	"net/http/cgi"
	"strings"
)

const (
	receivePack = "git-receive-pack"
	uploadPack  = "git-upload-pack"
)

// ServeHTTP answers the four requests of the smart protocol and nothing else.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if !localHost(req.Host) {
		http.Error(w, "this server answers only on the loopback address", http.StatusForbidden)
		return
	}
	if !s.admits(req) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Slipway"`)
		http.Error(w, "log in with the user name and password that slipway up shows in the repository's URL", http.StatusUnauthorized)
		return
	}
	name, rest, found := split(req.URL.Path)
	s.mu.Lock()
	r := s.repositories[name]
	s.mu.Unlock()
	if !found || r == nil {
		http.Error(w, "no such repository", http.StatusNotFound)
		return
	}
	if !smart(req, rest) {
		http.Error(w, "only the smart HTTP protocol is served; use git 1.6.6 or newer", http.StatusForbidden)
		return
	}
	s.backend(name, r).ServeHTTP(w, unchunked(req))
	if rest == "/"+receivePack {
		s.notify(name, r)
	}
}

// admits compares in constant time, so that answers do not help to guess.
func (s *Server) admits(req *http.Request) bool {
	login := s.options.Login
	if login == nil {
		return true
	}
	username, password, _ := req.BasicAuth()
	wanted, _ := login.Password()
	return subtle.ConstantTimeCompare([]byte(username), []byte(login.Username()))&
		subtle.ConstantTimeCompare([]byte(password), []byte(wanted)) == 1
}

// localHost refuses requests that a web page made for its own host name (DNS rebinding).
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// split takes "/name.git/rest" apart.
func split(path string) (name, rest string, ok bool) {
	name, rest, ok = strings.Cut(strings.TrimPrefix(path, "/"), ".git/")
	return name, "/" + rest, ok
}

func smart(req *http.Request, rest string) bool {
	switch rest {
	case "/info/refs":
		service := req.URL.Query().Get("service")
		return req.Method == http.MethodGet && (service == uploadPack || service == receivePack)
	case "/" + uploadPack, "/" + receivePack:
		return req.Method == http.MethodPost
	}
	return false
}

// unchunked lets a body of unknown length through net/http/cgi, which refuses it although git reads to the end.
func unchunked(req *http.Request) *http.Request {
	if len(req.TransferEncoding) == 0 {
		return req
	}
	plain := req.Clone(req.Context())
	plain.TransferEncoding = nil
	return plain
}

// backend is git's own HTTP program, run once per request.
func (s *Server) backend(name string, r *repository) http.Handler {
	return &cgi.Handler{
		Path:   s.git,
		Args:   []string{"http-backend"},
		Root:   "/" + name + ".git",
		Dir:    r.dir,
		Env:    append(r.config(), "GIT_PROJECT_ROOT="+r.dir, "GIT_HTTP_EXPORT_ALL=1"),
		Stderr: s.options.Log,
	}
}
