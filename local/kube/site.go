package kube

import (
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

// The users of a control plane that runs as separate programs.
const (
	adminUser       = "slipway-admin"
	adminGroup      = "system:masters"
	controllersUser = "system:kube-controller-manager"
)

// servingPair is the file of the serving certificate with its key.
const servingPair = "self-signed.pem"

// renewBefore is how much longer a serving certificate must last at a start.
const renewBefore = 60 * 24 * time.Hour

// controllerNames are those that slipway-controlplane runs by default.
var controllerNames = []string{
	"clusterrole-aggregation-controller",
	"garbage-collector-controller",
	"namespace-controller",
	"persistentvolume-protection-controller",
	"persistentvolumeclaim-protection-controller",
	"resourcequota-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
}

// site is what separate programs need to find on disk. Data and service
// account key stand where slipway-controlplane keeps them, so that either can
// take up the other's directory.
type site struct {
	dir, sockets string
	port         int
	authority    []byte
}

// prepareSite writes keys, tokens and kubeconfigs.
func prepareSite(o Options, sockets string) (*site, error) {
	s := &site{dir: o.Dir, sockets: sockets}
	if err := os.MkdirAll(s.certs(""), 0o700); err != nil {
		return nil, fmt.Errorf("create certificate directory: %w", err)
	}
	var err error
	if s.port, err = choosePort(filepath.Join(o.Dir, "port"), o.Port); err != nil {
		return nil, err
	}
	if err := s.writeKeys(); err != nil {
		return nil, fmt.Errorf("write keys: %w", err)
	}
	if err := s.writeUsers(); err != nil {
		return nil, fmt.Errorf("write users: %w", err)
	}
	return s, nil
}

func (s *site) certs(name string) string { return filepath.Join(s.dir, "certs", name) }

// writeKeys makes the service account key and the serving certificate, or
// finds those of the last start.
func (s *site) writeKeys() error {
	if _, err := keep(s.certs("service-account.key"), always, keyutil.MakeEllipticPrivateKeyPEM); err != nil {
		return err
	}
	pair, err := keep(s.certs(servingPair), stillValid, selfSigned)
	if err != nil {
		return err
	}
	certificates, err := cert.ParseCertsPEM(pair)
	if err != nil {
		return fmt.Errorf("parse serving certificate: %w", err)
	}
	s.authority, err = cert.EncodeCertificates(certificates...)
	if err != nil {
		return fmt.Errorf("encode serving certificate: %w", err)
	}
	return nil
}

// keep returns a file's content when it is good, and else makes it anew.
func keep(path string, good func([]byte) bool, produce func() ([]byte, error)) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err == nil && good(text) {
		return text, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if text, err = produce(); err != nil {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	return text, writePrivate(path, text)
}

func always([]byte) bool { return true }

// stillValid says whether the certificates in a PEM text last some time yet.
func stillValid(text []byte) bool {
	certificates, err := cert.ParseCertsPEM(text)
	return err == nil && !slices.ContainsFunc(certificates, func(c *x509.Certificate) bool {
		return time.Until(c.NotAfter) < renewBefore
	})
}

// selfSigned makes a certificate, its authority and its key, all in one PEM
// text: half of a pair can then never be left over from another.
func selfSigned() ([]byte, error) {
	certificates, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost", "kubernetes.default.svc"})
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return append(certificates, key...), nil
}

// writeUsers gives each user a token, or finds that of the last start, and a
// kubeconfig.
func (s *site) writeUsers() error {
	admin, adminErr := keep(s.certs("admin.token"), always, newToken)
	controllers, controllersErr := keep(s.certs("controllers.token"), always, newToken)
	if err := errors.Join(adminErr, controllersErr); err != nil {
		return err
	}
	tokens := fmt.Sprintf("%s,%s,%s,%q\n%s,%s,%s\n", admin, adminUser, adminUser, adminGroup, controllers, controllersUser, controllersUser)
	return errors.Join(
		writePrivate(s.certs("tokens.csv"), []byte(tokens)),
		s.writeKubeconfig(KubeconfigPath(s.dir), adminUser, string(admin)),
		s.writeKubeconfig(s.certs("controllers.kubeconfig"), controllersUser, string(controllers)))
}

func newToken() ([]byte, error) { return []byte(rand.Text()), nil }

func (s *site) writeKubeconfig(path, user, token string) error {
	const name = "slipway"
	config := *clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		CertificateAuthorityData: s.authority,
	}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user}
	config.CurrentContext = name
	text, err := clientcmd.Write(config)
	if err != nil {
		return fmt.Errorf("encode kubeconfig: %w", err)
	}
	return writePrivate(path, text)
}

// writePrivate replaces a file in one step.
func writePrivate(path string, text []byte) error {
	next := path + ".new"
	if err := os.WriteFile(next, text, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}

// choosePort takes the port asked for, the one of the last start when it is
// free, or any other, and remembers it.
func choosePort(path string, asked int) (int, error) {
	wanted := []int{asked}
	if asked == 0 {
		// A file that is not there or not a number is no port: 0, any.
		text, _ := os.ReadFile(path)
		last, _ := strconv.Atoi(strings.TrimSpace(string(text)))
		wanted = []int{last, 0}
	}
	var err error
	for _, port := range wanted {
		if port, err = freePort(port); err == nil {
			return port, writePrivate(path, []byte(strconv.Itoa(port)+"\n"))
		}
	}
	return 0, fmt.Errorf("find a port on loopback: %w", err)
}

// freePort says that a port is free, and which one when 0 stands for any.
func freePort(port int) (int, error) {
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return 0, fmt.Errorf("listen on port %d: %w", port, err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// etcdArgs has etcd listen on sockets in its working directory only. What it
// advertises is never dialed; it refuses a socket there.
func (s *site) etcdArgs(ephemeral bool) []string {
	args := []string{
		"--data-dir=" + filepath.Join(s.dir, "etcd"),
		"--listen-client-urls=unix://etcd.sock",
		"--listen-peer-urls=unix://peer.sock",
		"--advertise-client-urls=http://localhost:2380",
		"--initial-advertise-peer-urls=http://localhost:2380",
		"--initial-cluster=default=http://localhost:2380",
		"--log-level=error",
	}
	if ephemeral {
		args = append(args, "--unsafe-no-fsync")
	}
	return args
}

func (s *site) serverArgs() []string {
	return []string{
		"--etcd-servers=unix://" + filepath.Join(s.sockets, "etcd.sock"),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(s.port),
		"--tls-cert-file=" + s.certs(servingPair),
		"--tls-private-key-file=" + s.certs(servingPair),
		"--token-auth-file=" + s.certs("tokens.csv"),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + s.certs("service-account.key"),
		"--service-account-signing-key-file=" + s.certs("service-account.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--allow-privileged=true",
		"--endpoint-reconciler-type=none",
		"--profiling=false",
		"--shutdown-watch-termination-grace-period=1s",
	}
}

func (s *site) controllerArgs() []string {
	kubeconfig := s.certs("controllers.kubeconfig")
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig,
		"--authorization-kubeconfig=" + kubeconfig,
		"--controllers=" + strings.Join(controllerNames, ","),
		"--leader-elect=false",
		"--secure-port=0",
		"--service-account-private-key-file=" + s.certs("service-account.key"),
		"--root-ca-file=" + s.certs(servingPair),
		"--use-service-account-credentials=true",
	}
}
