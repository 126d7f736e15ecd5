package git

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"sync/atomic"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// The keys of a Secret with Git credentials. They are the ones that Flux reads.
const (
	KeyUsername    = "username"
	KeyPassword    = "password"
	KeyBearerToken = "bearerToken"
	KeyIdentity    = "identity"
	KeyKnownHosts  = "known_hosts"
	KeyCA          = "ca.crt"
	KeyCert        = "tls.crt"
	KeyKey         = "tls.key"
)

// errSSHAuth marks a failed SSH log-in.
var errSSHAuth = errors.New("SSH log-in failed")

// Auth is how to log in to a Git server. It prints as "(credentials)".
type Auth struct {
	// Username and Password are for HTTP basic authentication.
	Username, Password string
	// BearerToken is for HTTP token authentication.
	BearerToken string
	// Identity is a private key in PEM form, for SSH; Passphrase opens it when it is encrypted.
	Identity   []byte
	Passphrase string
	// KnownHosts is a known_hosts file; SSH is not spoken without one.
	KnownHosts []byte
	// CA are additional certificate authorities in PEM form, for HTTPS.
	CA []byte
	// Cert and Key are a client certificate in PEM form, for HTTPS.
	Cert, Key []byte
	// App logs in as a GitHub App, in place of the others; nil does not.
	App *App
}

// String hides the credentials from logs.
func (Auth) String() string { return "(credentials)" }

// GoString hides the credentials from logs.
func (Auth) GoString() string { return "(credentials)" }

// ParseAuth reads the data of a Secret as credentials for a URL. A Secret that lacks what the URL's protocol needs, or
// has it twice, is ErrRefused.
func ParseAuth(secret map[string][]byte, rawURL string) (Auth, error) {
	r := Remote{URL: rawURL}
	u, err := r.check("read credentials for")
	if err != nil {
		return Auth{}, err
	}
	a := parse(secret, u.Scheme)
	r.Auth = a
	if problem := a.problem(u.Scheme); problem != "" {
		return Auth{}, r.errorf("read credentials for", ErrRefused, "%s", problem)
	}
	return a, nil
}

func parse(secret map[string][]byte, scheme string) Auth {
	if scheme == "ssh" {
		return Auth{
			Identity:   secret[KeyIdentity],
			Passphrase: string(secret[KeyPassword]),
			KnownHosts: secret[KeyKnownHosts],
		}
	}
	return Auth{
		Username:    text(secret, KeyUsername),
		Password:    text(secret, KeyPassword),
		BearerToken: text(secret, KeyBearerToken),
		CA:          secret[KeyCA],
		Cert:        secret[KeyCert],
		Key:         secret[KeyKey],
		App:         parseApp(secret),
	}
}

// text returns a value without the line feed that an editor or echo leaves at its end.
func text(secret map[string][]byte, key string) string {
	return strings.TrimRight(string(secret[key]), "\r\n")
}

// problem says what is wrong with credentials for a protocol, or "".
func (a Auth) problem(scheme string) string {
	if scheme == "ssh" {
		return a.sshProblem()
	}
	switch {
	case a.App != nil && (a.Username != "" || a.Password != "" || a.BearerToken != ""):
		return "the Secret has both a GitHub App and other credentials; keep one of the two"
	case a.App != nil && a.App.problem() != "":
		return a.App.problem()
	case a.BearerToken != "" && (a.Username != "" || a.Password != ""):
		return "the Secret has both bearerToken and username or password; keep one of the two"
	case (a.Username == "") != (a.Password == ""):
		return "the Secret has only one of username and password; it needs both"
	case (len(a.Cert) == 0) != (len(a.Key) == 0):
		return "the Secret has only one of tls.crt and tls.key; it needs both"
	case len(a.CA) > 0 && !x509.NewCertPool().AppendCertsFromPEM(a.CA):
		return "ca.crt of the Secret holds no certificate in PEM form"
	}
	if len(a.Cert) > 0 {
		if _, err := tls.X509KeyPair(a.Cert, a.Key); err != nil {
			return "tls.crt and tls.key of the Secret are no certificate in PEM form with its key"
		}
	}
	return ""
}

func (a Auth) sshProblem() string {
	switch {
	case len(a.Identity) == 0:
		return "the Secret has no identity; put a private key there"
	case len(a.KnownHosts) == 0:
		return "the Secret has no known_hosts; hosts are never trusted unseen, put the output of ssh-keyscan there"
	}
	if _, err := a.signer(); err != nil {
		return "identity of the Secret is not a private key, or password does not open it"
	}
	return ""
}

func (a Auth) signer() (ssh.Signer, error) {
	var missing *ssh.PassphraseMissingError
	signer, err := ssh.ParsePrivateKey(a.Identity)
	if errors.As(err, &missing) {
		signer, err = ssh.ParsePrivateKeyWithPassphrase(a.Identity, []byte(a.Passphrase))
	}
	if err != nil {
		return nil, fmt.Errorf("parse private key: %w", err)
	}
	return signer, nil
}

// secrets are the values that must never be printed.
func (a Auth) secrets() []string {
	secrets := []string{a.Password, a.BearerToken, a.Passphrase}
	if a.Username != "" {
		secrets = append(secrets, base64.StdEncoding.EncodeToString([]byte(a.Username+":"+a.Password)))
	}
	return secrets
}

// header is the value of the Authorization header, or empty.
func (a Auth) header() string {
	switch {
	case a.BearerToken != "":
		return "Bearer " + a.BearerToken
	case a.Username != "":
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Username+":"+a.Password))
	}
	return ""
}

// ssh prepares a log-in to the host of a URL.
func (a Auth) ssh(u *url.URL) (*sshAuth, error) {
	if problem := a.sshProblem(); problem != "" {
		return nil, fmt.Errorf("%w: %s", errSSHAuth, problem)
	}
	signer, err := a.signer()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSSHAuth, err)
	}
	hosts, err := a.hosts()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSSHAuth, err)
	}
	user, port := u.User.Username(), u.Port()
	if user == "" {
		user = "git"
	}
	if port == "" {
		port = "22"
	}
	return &sshAuth{user: user, signer: signer, hosts: hosts, address: net.JoinHostPort(u.Hostname(), port)}, nil
}

// hosts parses known_hosts. The parser reads files only, so there is one for the blink of an eye.
func (a Auth) hosts() (*knownhosts.HostKeyDB, error) {
	f, err := os.CreateTemp("", "known_hosts-")
	if err != nil {
		return nil, fmt.Errorf("keep known_hosts: %w", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // public keys only
	_, err = f.Write(a.KnownHosts)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("keep known_hosts: %w", err)
	}
	db, err := knownhosts.NewDB(f.Name())
	if err != nil {
		return nil, fmt.Errorf("parse known_hosts: %w", err)
	}
	return db, nil
}

// sshAuth logs in with one key and trusts only hosts it knows.
type sshAuth struct {
	user    string
	signer  ssh.Signer
	hosts   *knownhosts.HostKeyDB
	address string

	trusted atomic.Bool // we accepted the host's key
	used    atomic.Bool // the host asked us to sign with ours
}

// explain marks an error as a failed log-in when the conversation ended between the two: a host asks for a signature
// only when it accepts the key.
func (a *sshAuth) explain(err error) error {
	if a.trusted.Load() && !a.used.Load() {
		return fmt.Errorf("%w: the server does not accept the key in identity: %w", errSSHAuth, err)
	}
	return err
}

// PublicKey implements ssh.Signer.
func (a *sshAuth) PublicKey() ssh.PublicKey { return a.signer.PublicKey() }

// Sign implements ssh.Signer.
func (a *sshAuth) Sign(random io.Reader, data []byte) (*ssh.Signature, error) {
	return a.SignWithAlgorithm(random, data, "")
}

// SignWithAlgorithm implements ssh.AlgorithmSigner, so that RSA keys sign with SHA-2.
func (a *sshAuth) SignWithAlgorithm(random io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	a.used.Store(true)
	signer, able := a.signer.(ssh.AlgorithmSigner)
	if !able {
		return a.signer.Sign(random, data) //nolint:wrapcheck // passed through
	}
	return signer.SignWithAlgorithm(random, data, algorithm) //nolint:wrapcheck // passed through
}

// config is the client's side of the SSH connection. The algorithms are limited to those of the keys we know for the
// host, since a server may otherwise present one that we cannot check.
func (a *sshAuth) config() *ssh.ClientConfig {
	return &ssh.ClientConfig{
		User:              a.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(a)},
		HostKeyCallback:   a.verify,
		HostKeyAlgorithms: a.hosts.HostKeyAlgorithms(a.address),
		Timeout:           DefaultTimeout,
	}
}

func (a *sshAuth) verify(host string, remote net.Addr, key ssh.PublicKey) error {
	err := a.hosts.HostKeyCallback()(host, remote, key)
	switch {
	case knownhosts.IsHostKeyChanged(err):
		return fmt.Errorf("%w: the host key of %s is not the one in known_hosts (it is %s): %w", errSSHAuth, a.address, ssh.FingerprintSHA256(key), err)
	case err != nil:
		return fmt.Errorf("%w: %s is not in known_hosts of the Secret (its key is %s): %w", errSSHAuth, a.address, ssh.FingerprintSHA256(key), err)
	}
	a.trusted.Store(true)
	return nil
}
