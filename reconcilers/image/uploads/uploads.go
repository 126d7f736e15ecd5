package uploads

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	discoveryv1 "k8s.io/api/discovery/v1"
	discoveryapply "k8s.io/client-go/applyconfigurations/discovery/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/dvcr/upload"
)

// Service is the name of the Service, and of its EndpointSlice.
const Service = "slipway-uploads"

// InCluster is where the Service is reached.
func InCluster(namespace string) string { return "http://" + Service + "." + namespace + ".svc" }

// Options of a server.
type Options struct {
	// Uploads answers the requests.
	Uploads *upload.Server
	// Bind is the address to listen on, such as ":8082".
	Bind string
	// Pod is this pod's address, which the Service is led to; empty leads it nowhere.
	Pod string
	// Namespace of the Service.
	Namespace string
}

// SetupWithManager serves uploads while the manager leads.
func SetupWithManager(mgr ctrl.Manager, o Options) error {
	if o.Pod != "" {
		if _, err := netip.ParseAddr(o.Pod); err != nil {
			return fmt.Errorf("receive uploads: the address of this pod: %w", err)
		}
	}
	if err := mgr.Add(&server{options: o, client: mgr.GetClient()}); err != nil {
		return fmt.Errorf("receive uploads: %w", err)
	}
	return nil
}

type server struct {
	options Options
	client  client.Client
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (s *server) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (s *server) Start(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.options.Bind)
	if err != nil {
		return fmt.Errorf("receive uploads: %w", err)
	}
	web := s.options.Uploads.NewHTTPServer()
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	defer web.Close() //nolint:errcheck // the process ends
	if err := s.announce(ctx, listener.Addr()); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("receive uploads: %w", err)
	}
}

// announce leads the Service to this pod.
func (s *server) announce(ctx context.Context, bound net.Addr) error {
	if s.options.Pod == "" {
		return nil
	}
	_, text, err := net.SplitHostPort(bound.String())
	if err != nil {
		return fmt.Errorf("read the port of uploads: %w", err)
	}
	port, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return fmt.Errorf("read the port of uploads: %w", err)
	}
	if err := s.client.Apply(ctx, slice(s.options, int32(port)), client.FieldOwner("slipway-uploads"), client.ForceOwnership); err != nil {
		return fmt.Errorf("lead Service %s/%s to this pod: %w", s.options.Namespace, Service, err)
	}
	return nil
}

func slice(o Options, port int32) *discoveryapply.EndpointSliceApplyConfiguration {
	kind := discoveryv1.AddressTypeIPv4
	if address, err := netip.ParseAddr(o.Pod); err == nil && address.Is6() {
		kind = discoveryv1.AddressTypeIPv6
	}
	return discoveryapply.EndpointSlice(Service, o.Namespace).
		WithLabels(map[string]string{discoveryv1.LabelServiceName: Service, discoveryv1.LabelManagedBy: "slipway-controller"}).
		WithAddressType(kind).
		WithPorts(discoveryapply.EndpointPort().WithName("http").WithPort(port)).
		WithEndpoints(discoveryapply.Endpoint().WithAddresses(o.Pod).WithConditions(discoveryapply.EndpointConditions().WithReady(true)))
}
