package driver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

// Serve answers on a socket until the context ends. When register names another socket, kubelet finds the driver there:
// driverPath is where kubelet sees the first one.
func (d *Driver) Serve(ctx context.Context, socket, register, driverPath string) error {
	calls := grpc.NewServer()
	csi.RegisterIdentityServer(calls, d)
	csi.RegisterControllerServer(calls, d)
	csi.RegisterNodeServer(calls, d)
	listener, err := listen(socket)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- calls.Serve(listener) }()
	servers := []*grpc.Server{calls}
	if register != "" {
		kubelet := grpc.NewServer()
		registration.RegisterRegistrationServer(kubelet, registrar{driverPath})
		listener, err := listen(register)
		if err != nil {
			calls.Stop()
			return err
		}
		go func() { ended <- kubelet.Serve(listener) }()
		servers = append(servers, kubelet)
	}
	return wait(ctx, servers, ended)
}

func wait(ctx context.Context, servers []*grpc.Server, ended <-chan error) error {
	var err error
	select {
	case <-ctx.Done():
	case err = <-ended:
	}
	for _, server := range servers {
		server.Stop()
	}
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// listen takes over a socket that an earlier process left behind.
func listen(socket string) (net.Listener, error) {
	if err := os.Remove(socket); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// registrar tells kubelet where the driver answers.
type registrar struct{ endpoint string }

// GetInfo introduces the driver.
func (r registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{Type: registration.CSIPlugin, Name: Name, Endpoint: r.endpoint, SupportedVersions: []string{"1.0.0"}}, nil
}

// NotifyRegistrationStatus hears whether kubelet takes the driver.
func (registrar) NotifyRegistrationStatus(_ context.Context, status *registration.RegistrationStatus) (*registration.RegistrationStatusResponse, error) {
	if !status.PluginRegistered {
		fmt.Fprintf(os.Stderr, "kubelet does not take the driver: %s\n", status.Error)
	}
	return &registration.RegistrationStatusResponse{}, nil
}
