// Command engine-csi is the CSI driver of the engine's tests, on each node, and on one of them the provisioner.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	snapshots "github.com/kubernetes-csi/external-snapshotter/client/v8/clientset/versioned"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"slipway.dev/slipway/test/engine/csi/module/driver"
	"slipway.dev/slipway/test/engine/csi/module/provision"
)

// options are the flags.
type options struct {
	socket, register, driverPath string
	dir, node                    string
	provision                    bool
}

func main() {
	var o options
	flag.StringVar(&o.socket, "endpoint", "/csi/csi.sock", "socket to answer on")
	flag.StringVar(&o.register, "registration", "", "socket in kubelet's plugin registry (default: none, as for a controller)")
	flag.StringVar(&o.driverPath, "kubelet-endpoint", "", "where kubelet finds --endpoint")
	flag.StringVar(&o.dir, "dir", "/volumes", "directory of the volumes, the same on all nodes")
	flag.StringVar(&o.node, "node", "", "name of the node")
	flag.BoolVar(&o.provision, "provision", false, "make volumes for claims too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	store, err := driver.NewStore(o.dir)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	parts := []func() error{
		func() error { return driver.New(store, o.node).Serve(ctx, o.socket, o.register, o.driverPath) },
	}
	if o.provision {
		parts = append(parts, func() error { return provisionClaims(ctx, o.socket) })
	}
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() { ended <- part() }()
	}
	// The first that ends ends the others.
	err = <-ended
	cancel()
	for range len(parts) - 1 {
		err = errors.Join(err, <-ended)
	}
	return err
}

func provisionClaims(ctx context.Context, socket string) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return fmt.Errorf("read the pod's configuration: %w", err)
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make clients: %w", err)
	}
	kinds, err := snapshots.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client for snapshots: %w", err)
	}
	connection, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connect to the driver: %w", err)
	}
	defer connection.Close()
	p := &provision.Provisioner{Driver: driver.Name, Clients: clients, Snapshots: kinds, Controller: csi.NewControllerClient(connection)}
	return p.Run(ctx)
}
