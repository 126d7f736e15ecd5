package controlplane

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/embed"

	"slipway.dev/slipway/local/controlplane/datadir"
)

// advertised is what etcd says its address is. Nobody dials it, for there are
// no other members, but etcd refuses a Unix socket here; and since it is kept
// in the member's data it must be the same at each start.
var advertised = url.URL{Scheme: "http", Host: "localhost:2380"}

// etcd is the embedded store with the socket that it listens on.
type etcd struct {
	server *embed.Etcd
	socket string
}

// startEtcd opens the store and waits until it elected itself.
func startEtcd(ctx context.Context, dir *datadir.Dir, unsafeNoFsync bool) (*etcd, error) {
	sockets, err := dir.Sockets()
	if err != nil {
		return nil, err
	}
	config := etcdConfig(dir.Etcd(), sockets, unsafeNoFsync)
	server, err := embed.StartEtcd(config)
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", config.Dir, err)
	}
	e := &etcd{server: server, socket: config.ListenClientUrls[0].Path}
	if err := e.waitReady(ctx); err != nil {
		e.stop()
		return nil, err
	}
	return e, nil
}

// etcdConfig configures one member that listens on Unix sockets only.
func etcdConfig(dir, sockets string, unsafeNoFsync bool) *embed.Config {
	config := embed.NewConfig()
	config.Dir = dir
	config.ListenClientUrls = []url.URL{unixURL(filepath.Join(sockets, "etcd.sock"))}
	// For peers, etcd takes the socket's path from the host part alone.
	config.ListenPeerUrls = []url.URL{{Scheme: "unix", Host: filepath.Join(sockets, "peer.sock")}}
	config.AdvertiseClientUrls = []url.URL{advertised}
	config.AdvertisePeerUrls = []url.URL{advertised}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.LogLevel = "error"
	config.EnableGRPCGateway = false
	config.UnsafeNoFsync = unsafeNoFsync
	return config
}

func unixURL(path string) url.URL { return url.URL{Scheme: "unix", Path: path} }

func (e *etcd) waitReady(ctx context.Context) error {
	select {
	case <-e.server.Server.ReadyNotify():
		return nil
	case err := <-e.server.Err():
		return fmt.Errorf("run etcd: %w", err)
	case <-ctx.Done():
		return fmt.Errorf("wait for etcd: %w", context.Cause(ctx))
	}
}

// stop closes the store. The API server must have stopped before: it retries
// lost connections and does not hear a stop while it does.
func (e *etcd) stop() { e.server.Close() }
