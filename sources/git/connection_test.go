package git_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/sources/git"
)

// certificate makes a client certificate that signs for itself.
func certificate(t *testing.T) (cert, key []byte, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "me"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return cert, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: raw}), pool
}

func caOf(web *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
}

func TestClientCertificate(t *testing.T) {
	s := newServer(t)
	cert, key, pool := certificate(t)
	other, otherKey, _ := certificate(t)
	web := s.guarded(func(r *http.Request) bool { return len(r.TLS.PeerCertificates) == 1 })
	web.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	web.Config.ErrorLog = nil
	web.StartTLS()
	defer web.Close()
	tests := map[string]struct {
		secret map[string][]byte
		want   error
	}{
		"right":     {map[string][]byte{"ca.crt": caOf(web), "tls.crt": cert, "tls.key": key}, nil},
		"another":   {map[string][]byte{"ca.crt": caOf(web), "tls.crt": other, "tls.key": otherKey}, git.ErrUnreachable},
		"none":      {map[string][]byte{"ca.crt": caOf(web)}, git.ErrUnreachable},
		"half":      {map[string][]byte{"ca.crt": caOf(web), "tls.crt": cert}, git.ErrRefused},
		"not a key": {map[string][]byte{"ca.crt": caOf(web), "tls.crt": cert, "tls.key": otherKey}, git.ErrRefused},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			url := web.URL + "/demo.git"
			auth, err := git.ParseAuth(test.secret, url)
			if err == nil {
				_, err = newClient().Resolve(t.Context(), git.Remote{URL: url, Auth: auth}, git.Ref{})
			}
			if !errors.Is(err, test.want) {
				t.Errorf("Resolve() = %v, want %v", err, test.want)
			}
		})
	}
}

// socksServer is a SOCKS5 proxy that wants a user name and a password.
func socksServer(t *testing.T, served *atomic.Int32) string {
	t.Helper()
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
			go func() {
				defer conn.Close()
				if target := socksHandshake(conn); target != "" {
					served.Add(1)
					pipe(conn, target)
				}
			}()
		}
	}()
	return listener.Addr().String()
}

func socksHandshake(conn net.Conn) string {
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(conn, b)
		return b
	}
	read(int(read(2)[1]))
	_, _ = conn.Write([]byte{5, 2})
	user := string(read(int(read(2)[1])))
	password := string(read(int(read(1)[0])))
	if user != "me" || password != "hunter2" {
		_, _ = conn.Write([]byte{1, 1})
		return ""
	}
	_, _ = conn.Write([]byte{1, 0})
	head := read(4)
	var host string
	if head[3] == 1 {
		host = net.IP(read(4)).String()
	} else {
		host = string(read(int(read(1)[0])))
	}
	port := read(2)
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	return net.JoinHostPort(host, fmt.Sprint(int(port[0])<<8|int(port[1])))
}

func pipe(conn net.Conn, target string) {
	out, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer out.Close()
	go func() { _, _ = io.Copy(out, conn); _ = out.Close() }()
	_, _ = io.Copy(conn, out)
}

// httpProxy forwards requests and opens tunnels, for those who log in.
func httpProxy(t *testing.T, served *atomic.Int32) string {
	t.Helper()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("me:hunter2")) {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		served.Add(1)
		if r.Method == http.MethodConnect {
			conn, buffered, err := w.(http.Hijacker).Hijack()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = buffered.WriteString("HTTP/1.1 200 OK\r\n\r\n")
			_ = buffered.Flush()
			pipe(conn, r.Host)
			return
		}
		r.RequestURI = ""
		r.Header.Del("Proxy-Authorization")
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		for name, values := range res.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	t.Cleanup(proxy.Close)
	return strings.TrimPrefix(proxy.URL, "http://")
}

func TestProxies(t *testing.T) {
	s := newServer(t)
	shell := newSSHServer(t, s.bare, "")
	web := s.guarded(func(*http.Request) bool { return true })
	web.StartTLS()
	defer web.Close()
	remotes := map[string]git.Remote{
		"http":  {URL: s.url},
		"https": {URL: web.URL + "/demo.git", Auth: git.Auth{CA: caOf(web)}},
		"ssh":   {URL: "ssh://git@" + shell.address + "/demo.git", Auth: git.Auth{Identity: shell.identity, KnownHosts: []byte(shell.knownHosts)}},
	}
	var served atomic.Int32
	proxies := map[string]string{"http": "http://" + httpProxy(t, &served), "socks5": "socks5://" + socksServer(t, &served)}
	for to, remote := range remotes {
		for by, address := range proxies {
			t.Run(to+" by "+by, func(t *testing.T) {
				served.Store(0)
				remote.Proxy = git.Proxy{URL: address, Username: "me", Password: "hunter2"}
				revision, err := newClient().Resolve(t.Context(), remote, git.Ref{})
				if err != nil || revision.Commit != s.head() || served.Load() == 0 {
					t.Fatalf("Resolve() = %v, %v, by way of the proxy: %d", revision, err, served.Load())
				}
				remote.Proxy.Password = "wrongpassword"
				if _, err = newClient().Resolve(t.Context(), remote, git.Ref{}); err == nil || strings.Contains(err.Error(), "wrongpassword") {
					t.Errorf("with a wrong password: %v", err)
				}
			})
		}
	}
	for name, address := range map[string]string{"ftp": "ftp://proxy", "no host": "http://", "nonsense": "://"} {
		if _, err := newClient().Resolve(t.Context(), git.Remote{URL: s.url, Proxy: git.Proxy{URL: address}}, git.Ref{}); !errors.Is(err, git.ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", name, err)
		}
	}
}

// TestEgress: what leads to an address that is not allowed is refused, directly, by a proxy, by a redirect, over SSH.
func TestEgress(t *testing.T) {
	s := newServer(t)
	shell := newSSHServer(t, s.bare, "")
	elsewhere := s.guarded(nil)
	var target string
	elsewhere.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target+strings.TrimPrefix(r.URL.Path, "/")+"?"+r.URL.RawQuery, http.StatusFound)
	})
	elsewhere.Start()
	defer elsewhere.Close()
	key := git.Auth{Identity: shell.identity, KnownHosts: []byte(shell.knownHosts)}
	onlyThisHost := egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}
	tests := map[string]struct {
		policy egress.Policy
		remote git.Remote
		target string
	}{
		"loopback":                       {remote: git.Remote{URL: s.url}},
		"loopback by name":               {remote: git.Remote{URL: strings.Replace(s.url, "127.0.0.1", "localhost", 1)}},
		"loopback in other digits":       {remote: git.Remote{URL: strings.Replace(s.url, "127.0.0.1", "[::ffff:127.0.0.1]", 1)}},
		"loopback over SSH":              {remote: git.Remote{URL: "ssh://git@" + shell.address + "/demo.git", Auth: key}},
		"metadata":                       {remote: git.Remote{URL: "http://169.254.169.254/latest"}},
		"a proxy on loopback":            {remote: git.Remote{URL: "http://git.example/x", Proxy: git.Proxy{URL: elsewhere.URL}}},
		"SOCKS on loopback":              {remote: git.Remote{URL: "http://git.example/x", Proxy: git.Proxy{URL: "socks5://" + shell.address}}},
		"SSH by SOCKS on loopback":       {remote: git.Remote{URL: "ssh://git@git.example/x", Auth: key, Proxy: git.Proxy{URL: "socks5://" + shell.address}}},
		"SSH by HTTP on loopback":        {remote: git.Remote{URL: "ssh://git@git.example/x", Auth: key, Proxy: git.Proxy{URL: elsewhere.URL}}},
		"metadata through a proxy":       {policy: onlyThisHost, remote: git.Remote{URL: "http://169.254.169.254/x", Proxy: git.Proxy{URL: elsewhere.URL}}},
		"metadata through SOCKS for SSH": {policy: onlyThisHost, remote: git.Remote{URL: "ssh://git@169.254.169.254/x", Auth: key, Proxy: git.Proxy{URL: "socks5://" + shell.address}}},
		"redirect to metadata":           {policy: onlyThisHost, remote: git.Remote{URL: elsewhere.URL + "/x"}, target: "http://169.254.169.254/"},
		"redirect to another loopback":   {policy: onlyThisHost, remote: git.Remote{URL: elsewhere.URL + "/x"}, target: "http://127.0.0.2/"},
		"redirect to a file":             {policy: onlyThisHost, remote: git.Remote{URL: elsewhere.URL + "/x"}, target: "file:///"},
		"redirect with credentials":      {policy: onlyThisHost, remote: git.Remote{URL: elsewhere.URL + "/x"}, target: "http://me:pw@127.0.0.1/"},
		"redirect in a ring":             {policy: onlyThisHost, remote: git.Remote{URL: elsewhere.URL + "/x"}, target: elsewhere.URL + "/"},
		"redirect to what is no Git":     {policy: onlyThisHost, remote: git.Remote{URL: elsewhere.URL + "/x"}, target: s.url + "/../x?"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			target = test.target
			_, err := git.NewClient(git.WithEgress(test.policy)).Resolve(t.Context(), test.remote, git.Ref{})
			if test.target == s.url+"/../x?" {
				if err == nil {
					t.Error("it was followed")
				}
				return
			}
			if !errors.Is(err, git.ErrRefused) {
				t.Errorf("Resolve() = %v, want ErrRefused", err)
			}
		})
	}
}

// githubAPI is as much of GitHub's API as an App needs. It checks the App's token.
type githubAPI struct {
	key    *rsa.PublicKey
	now    func() time.Time
	asked  int
	answer func(w http.ResponseWriter)
}

func (a *githubAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.asked++
	if problem := a.check(r); problem != "" {
		w.WriteHeader(http.StatusUnauthorized)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": problem})
		return
	}
	if a.answer != nil {
		a.answer(w)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]any{"token": fmt.Sprintf("ghs_token%d", a.asked), "expires_at": a.now().Add(time.Hour)})
}

func (a *githubAPI) check(r *http.Request) string {
	parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
	if r.Method != http.MethodPost || r.URL.Path != "/api/v3/app/installations/42/access_tokens" || len(parts) != 3 {
		return "wrong request " + r.Method + " " + r.URL.Path
	}
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if rsa.VerifyPKCS1v15(a.key, crypto.SHA256, sum[:], signature) != nil {
		return "wrong signature"
	}
	var claims struct {
		Iss      string
		Iat, Exp int64
	}
	raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
	_ = json.Unmarshal(raw, &claims)
	if now := a.now().Unix(); claims.Iss != "7" || claims.Iat > now || claims.Exp <= now || claims.Exp-claims.Iat > 600 {
		return "wrong claims"
	}
	return ""
}

func TestGitHubApp(t *testing.T) {
	s := newServer(t)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	clock := clocktesting.NewFakePassiveClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	api := &githubAPI{key: &private.PublicKey, now: clock.Now}
	apiServer := httptest.NewTLSServer(api)
	defer apiServer.Close()
	var password string
	web := s.guarded(func(r *http.Request) bool {
		user, got, _ := r.BasicAuth()
		password = got
		return user == "x-access-token" && strings.HasPrefix(got, "ghs_token")
	})
	web.StartTLS()
	defer web.Close()
	secret := map[string][]byte{
		"githubAppID": []byte("7\n"), "githubAppInstallationID": []byte("42"), "githubAppBaseURL": []byte(apiServer.URL + "/api/v3/"),
		"githubAppPrivateKey": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}),
		"ca.crt":              append(caOf(web), caOf(apiServer)...),
	}
	url := web.URL + "/demo.git"
	auth, err := git.ParseAuth(secret, url)
	if err != nil {
		t.Fatal(err)
	}
	client := newClient(git.WithClock(clock))
	remote := git.Remote{URL: url, Auth: auth}
	steps := []struct {
		name  string
		after time.Duration
		asked int
		token string
	}{{"at first", 0, 1, "ghs_token1"}, {"soon after", time.Minute, 1, "ghs_token1"}, {"shortly before it expires", 56 * time.Minute, 2, "ghs_token2"}}
	for _, step := range steps {
		clock.SetTime(clock.Now().Add(step.after))
		if _, err := client.Resolve(t.Context(), remote, git.Ref{}); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if api.asked != step.asked || password != step.token {
			t.Errorf("%s: %d tokens, logged in with %s", step.name, api.asked, password)
		}
	}
	answers := map[string]func(http.ResponseWriter){
		"refused": func(w http.ResponseWriter) {
			http.Error(w, `{"message":"Integration suspended ghs_abcdefghijklmnopqrstuvwx"}`, http.StatusForbidden)
		},
		"no token": func(w http.ResponseWriter) { w.WriteHeader(201); _, _ = w.Write([]byte(`{}`)) },
		"expired": func(w http.ResponseWriter) {
			w.WriteHeader(201)
			_, _ = w.Write([]byte(`{"token":"a","expires_at":"2020-01-01T00:00:00Z"}`))
		},
		"header in it": func(w http.ResponseWriter) {
			w.WriteHeader(201)
			_, _ = w.Write([]byte(`{"token":"a\r\nb","expires_at":"2030-01-01T00:00:00Z"}`))
		},
		"not JSON":       func(w http.ResponseWriter) { w.WriteHeader(201); _, _ = w.Write([]byte(`<html>`)) },
		"without an end": func(w http.ResponseWriter) { w.WriteHeader(201); _, _ = w.Write([]byte(strings.Repeat(" ", 1<<20))) },
		"redirected":     func(w http.ResponseWriter) { w.Header().Set("Location", s.url); w.WriteHeader(307) },
	}
	for name, answer := range answers {
		api.answer = answer
		_, err := newClient(git.WithClock(clock)).Resolve(t.Context(), remote, git.Ref{})
		if err == nil || strings.Contains(err.Error(), "ghs_abc") || strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("%s: %v", name, err)
		}
		if name != "redirected" && !errors.Is(err, git.ErrAuth) {
			t.Errorf("%s: %v, want ErrAuth", name, err)
		}
	}
	if printed := fmt.Sprintf("%v %+v %#v", auth, *auth.App, auth.App); strings.Contains(printed, "PRIVATE") || strings.Contains(printed, "[45") {
		t.Errorf("the App prints as %s", printed)
	}
	for name, change := range map[string]func(map[string][]byte){
		"no installation": func(m map[string][]byte) { delete(m, "githubAppInstallationID") },
		"path in the ID":  func(m map[string][]byte) { m["githubAppInstallationID"] = []byte("../../x") },
		"no key":          func(m map[string][]byte) { m["githubAppPrivateKey"] = []byte("x") },
		"plain HTTP":      func(m map[string][]byte) { m["githubAppBaseURL"] = []byte("http://api.example") },
		"a password too":  func(m map[string][]byte) { m["username"], m["password"] = []byte("me"), []byte("pw") },
	} {
		bad := map[string][]byte{}
		for k, v := range secret {
			bad[k] = v
		}
		change(bad)
		if _, err := git.ParseAuth(bad, url); !errors.Is(err, git.ErrRefused) {
			t.Errorf("%s: %v, want ErrRefused", name, err)
		}
	}
}
