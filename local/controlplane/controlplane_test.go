package controlplane

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app"

	"slipway.dev/slipway/local/controlplane/pki"
)

func newStore(t *testing.T) *pki.Store {
	t.Helper()
	s, err := pki.OpenStore(t.TempDir(), servedNames, servedAddresses, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKubeconfigStandsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	store := newStore(t)
	if err := writeKubeconfig(path, "https://127.0.0.1:6443", store.Authority(), admin); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatal(err)
	}
	if config.Insecure || string(config.CAData) != string(store.Authority().Certificate()) {
		t.Error("the server is not verified against the authority")
	}
	if config.CAFile != "" || config.CertFile != "" || config.KeyFile != "" {
		t.Error("refers to other files")
	}
	pair, err := tls.X509KeyPair(config.CertData, config.KeyData)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(pair.Leaf.Subject.Organization, "system:masters") {
		t.Errorf("subject %s has no rights", pair.Leaf.Subject)
	}
}

func TestAPIServerListensOnLoopbackWithRBAC(t *testing.T) {
	args := apiServerArgs("/data/etcd.sock", 6443, pki.Files{}, 0)
	for _, want := range []string{"--bind-address=127.0.0.1", "--authorization-mode=RBAC", "--etcd-servers=unix:///data/etcd.sock"} {
		if !slices.Contains(args, want) {
			t.Errorf("arguments %q lack %s", args, want)
		}
	}
	for _, arg := range args {
		if strings.Contains(arg, "admission") {
			t.Errorf("argument %s changes default admission", arg)
		}
	}
}

func TestEtcdListensOnSocketsOnly(t *testing.T) {
	config := etcdConfig("/data/etcd", "/data/sock", false)
	if err := config.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, listen := range slices.Concat(config.ListenClientUrls, config.ListenPeerUrls) {
		if listen.Scheme != "unix" || filepath.Dir(listen.Host+listen.Path) != "/data/sock" {
			t.Errorf("listens on %s, want a socket in /data/sock", listen.String())
		}
	}
	if config.UnsafeNoFsync {
		t.Error("does not wait for the disk unless told otherwise")
	}
}

func TestDefaultControllersExist(t *testing.T) {
	known := app.KnownControllers()
	for _, name := range DefaultControllers {
		if !slices.Contains(known, name) {
			t.Errorf("kube-controller-manager has no %s", name)
		}
	}
}

func TestParentsEndEndsTheContext(t *testing.T) {
	reader, writer := io.Pipe()
	ctx, cancel := withParent(t.Context(), reader)
	defer cancel()
	if _, err := writer.Write([]byte("still here")); err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatal("ended while the parent was there")
	}
	writer.Close()
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), errParentGone) {
		t.Errorf("ended because of %v, want the parent's end", context.Cause(ctx))
	}
}

func TestComponentStops(t *testing.T) {
	obedient := launch("obedient", func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	})
	if err := obedient.stop(time.Minute); err != nil {
		t.Errorf("stop: %v", err)
	}
	release := make(chan struct{})
	stubborn := launch("stubborn", func(context.Context) error {
		<-release
		return nil
	})
	if err := stubborn.stop(time.Nanosecond); !errors.Is(err, errStopSlow) {
		t.Errorf("stop: %v, want errStopSlow", err)
	}
	close(release)
	<-stubborn.done
}
