// Command cdi-apiserver-loopback runs CDI's API server, with its webhooks, on loopback. CDI's own command listens on all
// addresses and always on the same port, which is for pods.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	snapshots "github.com/kubernetes-csi/external-snapshotter/client/v6/clientset/versioned"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"kubevirt.io/containerized-data-importer/pkg/apiserver"
	cdi "kubevirt.io/containerized-data-importer/pkg/client/clientset/versioned"
	certwatcher "kubevirt.io/containerized-data-importer/pkg/util/cert/watcher"
	cryptowatch "kubevirt.io/containerized-data-importer/pkg/util/tls-crypto-watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const loopback = "127.0.0.1"

// options are the flags.
type options struct {
	kubeconfig       string
	certificate, key string
	port             uint
}

func main() {
	o := parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// parse takes over the flag that a library has registered for itself.
func parse() options {
	var o options
	flags := flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster")
	flags.StringVar(&o.certificate, "tls-cert-file", "", "certificate to serve with")
	flags.StringVar(&o.key, "tls-key-file", "", "key of the certificate")
	flags.UintVar(&o.port, "port", 0, "port on loopback")
	// ExitOnError leaves no error to look at.
	_ = flags.Parse(os.Args[1:])
	return o
}

func run(ctx context.Context, o options) error {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	certificates, err := certwatcher.New(o.certificate, o.key)
	if err != nil {
		return fmt.Errorf("read the certificate: %w", err)
	}
	server, err := newServer(ctx, config, certificates, o.port)
	if err != nil {
		return err
	}
	watched := make(chan error, 1)
	go func() { watched <- certificates.Start(ctx.Done()) }()
	if err := server.Start(ctx.Done()); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return <-watched
}

// newServer puts together what CDI's own command does, without its cache of volumes.
func newServer(ctx context.Context, config *rest.Config, certificates apiserver.CertWatcher, port uint) (apiserver.CdiAPIServer, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make clients: %w", err)
	}
	kinds := runtime.NewScheme()
	if err := scheme.AddToScheme(kinds); err != nil {
		return nil, fmt.Errorf("register Kubernetes' kinds: %w", err)
	}
	if err := cdiv1.AddToScheme(kinds); err != nil {
		return nil, fmt.Errorf("register CDI's kinds: %w", err)
	}
	reader, err := client.New(config, client.Options{Scheme: kinds})
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	authentication, err := apiserver.NewAuthConfigWatcher(ctx, clients)
	if err != nil {
		return nil, fmt.Errorf("watch who may speak for others: %w", err)
	}
	ciphers, err := cryptowatch.NewCdiConfigTLSWatcher(ctx, cdi.NewForConfigOrDie(config))
	if err != nil {
		return nil, fmt.Errorf("watch CDI's configuration: %w", err)
	}
	authorizer, err := apiserver.NewAuthorizorFromConfig(config, authentication)
	if err != nil {
		return nil, fmt.Errorf("make the authorizer: %w", err)
	}
	server, err := apiserver.NewCdiAPIServer(loopback, port, clients, aggregator.NewForConfigOrDie(config), cdi.NewForConfigOrDie(config),
		snapshots.NewForConfigOrDie(config), reader, authorizer, authentication, ciphers, certificates, map[string]string{})
	if err != nil {
		return nil, fmt.Errorf("make CDI's API server: %w", err)
	}
	return server, nil
}
