package git_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"slipway.dev/slipway/local/gitserver"
)

// run runs the real git and returns what it prints.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), "git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// server is a repository on a real Git server, and a clone to change it with.
type server struct {
	t     *testing.T
	bare  string
	clone string
	url   string
	git   *gitserver.Server
}

// serve adds another repository to the same server.
func (s *server) serve(name, bare string) {
	s.t.Helper()
	if err := s.git.AddBare(name, bare); err != nil {
		s.t.Fatal(err)
	}
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, bare: filepath.Join(t.TempDir(), "demo.git"), clone: t.TempDir()}
	files := fstest.MapFS{"kustomization.yaml": {Data: []byte("resources: [vm.yaml]\n")}, "vm.yaml": {Data: []byte("kind: VirtualMachine\n")}}
	if err := gitserver.InitDemo(t.Context(), s.bare, files); err != nil {
		t.Fatal(err)
	}
	g, err := gitserver.New(gitserver.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close() })
	if err := errors.Join(g.Start(context.Background()), g.AddBare("demo", s.bare)); err != nil {
		t.Fatal(err)
	}
	s.url, s.git = g.URL("demo"), g
	run(t, s.clone, "clone", s.url, ".")
	return s
}

// commit writes files, commits and pushes them, and returns the commit.
func (s *server) commit(files map[string]string) string {
	s.t.Helper()
	for name, content := range files {
		file := filepath.Join(s.clone, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(content), 0o600)); err != nil {
			s.t.Fatal(err)
		}
	}
	run(s.t, s.clone, "add", "-f", ".")
	run(s.t, s.clone, "commit", "--allow-empty", "-m", "change")
	s.push("HEAD")
	return s.head()
}

func (s *server) head() string { return run(s.t, s.clone, "rev-parse", "HEAD") }

func (s *server) push(refspecs ...string) {
	s.t.Helper()
	run(s.t, s.clone, append([]string{"push", "origin"}, refspecs...)...)
}

// guarded is the same repository behind something that wants a log-in.
func (s *server) guarded(allow func(*http.Request) bool) *httptest.Server {
	s.t.Helper()
	target, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: target.Host})
		r.Out.Host = target.Host
	}}
	return httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allow(r) {
			w.Header().Set("WWW-Authenticate", "Basic")
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
}

// sshServer speaks as much SSH as git needs.
type sshServer struct {
	address    string
	knownHosts string
	identity   []byte
	commands   chan string
}

// last returns the command that the server was asked for last, or nothing.
func (s *sshServer) last() string {
	select {
	case command := <-s.commands:
		return command
	default:
		return ""
	}
}

func newKey(t *testing.T, passphrase string) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func newSSHServer(t *testing.T, bare, passphrase string) *sshServer {
	t.Helper()
	host, _ := newKey(t, "")
	user, identity := newKey(t, passphrase)
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(user.PublicKey().Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	commands := make(chan string, 100)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serveSSH(conn, config, bare, commands)
		}
	}()
	address := listener.Addr().String()
	return &sshServer{commands: commands, address: address, identity: identity, knownHosts: knownhosts.Line([]string{address}, host.PublicKey())}
}

func serveSSH(conn net.Conn, config *ssh.ServerConfig, bare string, commands chan<- string) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		go serveChannel(channel, requests, bare, commands)
	}
}

func serveChannel(channel ssh.Channel, requests <-chan *ssh.Request, bare string, commands chan<- string) {
	defer channel.Close()
	for r := range requests {
		var payload struct{ Command string }
		if r.Type != "exec" || ssh.Unmarshal(r.Payload, &payload) != nil {
			_ = r.Reply(false, nil)
			continue
		}
		_ = r.Reply(true, nil)
		commands <- payload.Command
		program, _, _ := strings.Cut(payload.Command, " ")
		c := exec.Command("git", strings.TrimPrefix(program, "git-"), bare)
		c.Stdout, c.Stderr = channel, channel.Stderr()
		in, err := c.StdinPipe()
		if err != nil || c.Start() != nil {
			return
		}
		go func() { _, _ = io.Copy(in, channel); _ = in.Close() }()
		_ = c.Wait()
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
		return
	}
}
