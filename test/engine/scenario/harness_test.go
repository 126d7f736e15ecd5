//go:build e2e

package scenario

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/reconcilers/setup"
	"slipway.dev/slipway/test/e2e/compare"
	"slipway.dev/slipway/test/e2e/scenario"
	"slipway.dev/slipway/test/engine/cluster"
	"slipway.dev/slipway/test/engine/tunnel"
)

// inside is the first node's address, where pods reach what listens there.
const inside = "10.88.0.1"

// platform is Slipway on an engine.
type platform struct {
	layout cluster.Layout
	nodes  []string
	client client.WithWatch
	signer ssh.Signer
	host   ssh.PublicKey // the guest's, once it is known
	dir    string
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	dir := os.Getenv("SLIPWAY_ENGINE_DIR")
	if dir == "" {
		t.Fatal("SLIPWAY_ENGINE_DIR is not set: name the data directory of an engine that is up, or run `make e2e-engine`")
	}
	p := &platform{layout: cluster.Layout{Dir: dir}, dir: t.TempDir()}
	state, err := p.layout.ReadState()
	scenario.Must(t, err)
	p.nodes = state.Nodes
	config, err := p.layout.RESTConfig()
	scenario.Must(t, err)
	config.QPS = -1
	scheme, err := setup.Scheme()
	scenario.Must(t, err)
	p.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	scenario.Must(t, err)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	scenario.Must(t, err)
	p.signer, err = ssh.NewSignerFromKey(key)
	scenario.Must(t, err)
	return p
}

// verdict wants what was recorded on one node, or records it in SLIPWAY_RECORD.
func (p *platform) verdict() compare.Verdict {
	if len(p.nodes) > 1 {
		return nil // guests that move are written of otherwise
	}
	return compare.KubeVirt(os.Getenv("SLIPWAY_RECORD"))
}

// authorizedKey is what lets guest run commands.
func (p *platform) authorizedKey() string {
	return string(ssh.MarshalAuthorizedKey(p.signer.PublicKey()))
}

// expose leads an address inside the engine to a web server on this machine's loopback, and returns its URL.
func (p *platform) expose(t *testing.T, target string) string {
	t.Helper()
	to, err := url.Parse(target)
	scenario.Must(t, err)
	process, err := p.layout.Process(p.nodes[0])
	scenario.Must(t, err)
	listener, err := listenIn(filepath.Join("/proc", strconv.Itoa(process), "ns/net"), inside+":0")
	scenario.Must(t, err)
	proxy := &http.Server{Handler: &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host}) }, // it may answer to its own name only
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // servers that are away are what is tested
	}, ErrorLog: log.New(io.Discard, "", 0)}
	t.Cleanup(func() { _ = proxy.Close() })
	go func() { _ = proxy.Serve(listener) }()
	at := *to
	at.Host = listener.Addr().String()
	return at.String()
}

// isKnown takes the guest's key as it is first seen; the guest keeps it on its disk.
func (p *platform) isKnown(_ string, _ net.Addr, key ssh.PublicKey) error {
	if p.host != nil && !bytes.Equal(p.host.Marshal(), key.Marshal()) {
		return errors.New("the guest has another host key than before")
	}
	p.host = key
	return nil
}

// listenIn listens in another network namespace.
func listenIn(path, address string) (net.Listener, error) {
	type result struct {
		listener net.Listener
		err      error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err != nil {
			done <- result{err: fmt.Errorf("enter %s: %w", path, err)}
			return
		}
		listener, err := net.Listen("tcp", address)
		done <- result{listener, err}
	}()
	r := <-done
	return r.listener, r.err
}

// run runs a command in the demo's machine.
func (p *platform) run(ctx context.Context, command string) (string, error) {
	conn, err := p.dialGuest(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	session, err := conn.NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	out, err := session.CombinedOutput(command)
	return string(trim(out)), err
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == '\r') {
		b = b[:len(b)-1]
	}
	return b
}

// guestAddress is that of the pod: behind a masquerade the instance at times tells the address that only the guest knows.
func (p *platform) guestAddress(ctx context.Context) (string, error) {
	vmi := &virtv1.VirtualMachineInstance{}
	if err := p.client.Get(ctx, scenario.Key("web"), vmi); err != nil {
		return "", err
	}
	var pods corev1.PodList
	if err := p.client.List(ctx, &pods, client.InNamespace(scenario.Namespace), client.MatchingLabels{virtv1.CreatedByLabel: string(vmi.UID)}); err != nil {
		return "", err
	}
	for _, pod := range pods.Items {
		if pod.Spec.NodeName == vmi.Status.NodeName && pod.Status.Phase == corev1.PodRunning {
			return pod.Status.PodIP, nil
		}
	}
	return "", fmt.Errorf("the instance is %s, and has no pod at %q that runs", vmi.Status.Phase, vmi.Status.NodeName)
}

func (p *platform) dialGuest(ctx context.Context) (*ssh.Client, error) {
	ip, err := p.guestAddress(ctx)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort(ip, "22")
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	conn, err := tunnel.Dial(ctx, p.layout.Socket(), address)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c, channels, requests, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(p.signer)}, HostKeyCallback: p.isKnown,
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoRSASHA256},
		Config: ssh.Config{ // longer lists make old dropbears end the connection
			KeyExchanges: []string{ssh.KeyExchangeCurve25519}, Ciphers: []string{ssh.CipherAES128CTR}, MACs: []string{ssh.HMACSHA256},
		},
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), nil
}
