package controlplane

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/rest"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"

	"slipway.dev/slipway/local/controlplane/pki"
)

// serviceRange is where Services get their addresses; nothing routes it.
const serviceRange = "10.0.0.0/24"

// watchGrace is how long open watches may take to end at a stop. Without it
// the server waits a minute for clients that have no reason to go.
const watchGrace = time.Second

// servedNames and servedAddresses are what clients may call the API server.
var (
	servedNames     = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	servedAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
)

// startAPIServer runs kube-apiserver on the listener. It does not wait until
// the server is ready.
func startAPIServer(listener net.Listener, args []string) (*component, error) {
	// Loopback clients of the server itself would log each deprecated API.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	server := options.NewServerRunOptions()
	if err := parse("kube-apiserver", server.Flags(), args); err != nil {
		return nil, err
	}
	if err := server.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, fmt.Errorf("set feature gates: %w", err)
	}
	if err := logsapi.ValidateAndApply(server.Logs, utilfeature.DefaultFeatureGate); err != nil {
		return nil, fmt.Errorf("configure logging: %w", err)
	}
	// The listener is handed over rather than its port, so that nobody can
	// take the port in between.
	server.SecureServing.Listener = listener
	completed, err := server.Complete(context.Background())
	if err != nil {
		return nil, fmt.Errorf("complete kube-apiserver options: %w", err)
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("validate kube-apiserver options: %w", utilerrors.NewAggregate(errs))
	}
	return launch("kube-apiserver", func(ctx context.Context) error { return app.Run(ctx, completed) }), nil
}

// apiServerArgs is kube-apiserver's command line. Admission and authentication
// stay at the defaults of a real cluster, and API servers may stand behind it.
func apiServerArgs(etcdSocket string, port int, files pki.Files, verbosity int) []string {
	return []string{
		"--etcd-servers=unix://" + etcdSocket,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		"--tls-cert-file=" + files.ServerCertificate,
		"--tls-private-key-file=" + files.ServerKey,
		"--client-ca-file=" + files.Authority,
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + files.ServiceAccountKey,
		"--service-account-signing-key-file=" + files.ServiceAccountKey,
		"--service-cluster-ip-range=" + serviceRange,
		"--allow-privileged=true",
		"--requestheader-client-ca-file=" + files.ProxyAuthority,
		"--requestheader-allowed-names=" + pki.ProxyName,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + files.ProxyCertificate,
		"--proxy-client-key-file=" + files.ProxyKey,
		"--endpoint-reconciler-type=none",
		"--profiling=false",
		"--shutdown-watch-termination-grace-period=" + watchGrace.String(),
		"--v=" + strconv.Itoa(verbosity),
	}
}
