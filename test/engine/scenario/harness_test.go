//go:build e2e

package scenario

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/reconcilers/setup"
	"slipway.dev/slipway/test/engine/cluster"
	"slipway.dev/slipway/test/engine/tunnel"
)

const (
	namespace = "demo"
	// patience is for what a healthy platform does within seconds, on a machine that does other things, too.
	patience = 5 * time.Minute
	// inside is the first node's address, where pods reach what listens there.
	inside = "10.88.0.1"
)

// platform is Slipway on an engine.
type platform struct {
	layout cluster.Layout
	node   string
	client client.WithWatch
	signer ssh.Signer
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
	must(t, err)
	p.node = state.Nodes[0]
	config, err := p.layout.RESTConfig()
	must(t, err)
	config.QPS = -1
	scheme, err := setup.Scheme()
	must(t, err)
	p.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme})
	must(t, err)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	p.signer, err = ssh.NewSignerFromKey(key)
	must(t, err)
	return p
}

// authorizedKey is what lets guest run commands.
func (p *platform) authorizedKey() string {
	return string(ssh.MarshalAuthorizedKey(p.signer.PublicKey()))
}

// expose leads an address inside the engine to a server on this machine's loopback, and returns it.
func (p *platform) expose(t *testing.T, target string) string {
	t.Helper()
	process, err := p.layout.Process(p.node)
	must(t, err)
	listener, err := listenIn(filepath.Join("/proc", strconv.Itoa(process), "ns/net"), inside+":0")
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	go func() { _ = tunnel.Forward(listener, target) }()
	return listener.Addr().String()
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

// guest runs a command in the demo's machine as soon as it answers.
func (p *platform) guest(t *testing.T, command string) string {
	t.Helper()
	var out string
	p.eventually(t, 2*patience, "the guest answers", func(ctx context.Context) (err error) {
		out, err = p.run(ctx, command)
		return err
	})
	return out
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

func (p *platform) dialGuest(ctx context.Context) (*ssh.Client, error) {
	vmi := &virtv1.VirtualMachineInstance{}
	if err := p.client.Get(ctx, key("web"), vmi); err != nil {
		return nil, err
	}
	if len(vmi.Status.Interfaces) == 0 || vmi.Status.Interfaces[0].IP == "" {
		return nil, fmt.Errorf("the instance is %s and has no address", vmi.Status.Phase)
	}
	address := net.JoinHostPort(vmi.Status.Interfaces[0].IP, "22")
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	conn, err := tunnel.Dial(ctx, p.layout.Socket(), address)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	c, channels, requests, err := ssh.NewClientConn(conn, address, &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(p.signer)}, HostKeyCallback: ssh.InsecureIgnoreHostKey(),
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

// eventually repeats a check until it has no error, and fails the test with the last one when the time is up.
func (p *platform) eventually(t *testing.T, within time.Duration, what string, check func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, within, true, func(ctx context.Context) (bool, error) {
		if err := check(ctx); err == nil || ctx.Err() == nil {
			last = err
		}
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("not within %s: %s: %v", within, what, last)
	}
	t.Logf("%s", what)
}

func key(name string) client.ObjectKey { return client.ObjectKey{Namespace: namespace, Name: name} }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
