package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"slipway.dev/slipway/config/rbac"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/reconcilers/setup"
)

// options are the flags.
type options struct {
	kubeconfig  string
	controllers []string
	namespace   string
	dataDir     string
	metrics     string
	probes      string
	webhookPort int
	certDir     string
	elect       bool

	registryAddress     string
	registryCredentials string
	registryCA          string

	addressRanges  []string
	allowNetworks  []string
	defaultAccount string
}

func defaults() *options {
	o := &options{}
	for _, stage := range setup.Stages {
		o.controllers = append(o.controllers, string(stage))
	}
	return o
}

func (o *options) bind(flags *pflag.FlagSet) {
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default: $KUBECONFIG, else the pod's own cluster)")
	flags.StringSliceVar(&o.controllers, "controllers", o.controllers, "stages to run")
	flags.StringVar(&o.namespace, "namespace", rbac.ControllerNamespace, "namespace of the controller")
	flags.StringVar(&o.dataDir, "data-dir", "/var/lib/slipway", "where source artifacts and unfinished downloads are kept; what is lost there is fetched again")
	flags.StringVar(&o.metrics, "metrics-bind-address", ":8080", `address of the Prometheus metrics; "0" serves none`)
	flags.StringVar(&o.probes, "health-probe-bind-address", ":8081", "address of /healthz and /readyz")
	flags.IntVar(&o.webhookPort, "webhook-port", 9443, "port of the admission and conversion webhooks")
	flags.StringVar(&o.certDir, "webhook-cert-dir", "/run/slipway/webhook", "where the webhook's certificate is mounted: the Secret "+certificateSecret)
	flags.BoolVar(&o.elect, "leader-elect", true, "let one replica at a time work, found by a Lease in --namespace")
	flags.StringVar(&o.registryAddress, "registry", "", "host and port of DVCR as nodes and controllers reach it; needed by stage virtualization")
	flags.StringVar(&o.registryCredentials, "registry-credentials-dir", "", "directory with the files username and password of DVCR (default: anonymous)")
	flags.StringVar(&o.registryCA, "registry-ca", "", "PEM file of the authority that DVCR's certificate is from (default: the system's authorities)")
	flags.StringSliceVar(&o.addressRanges, "address-range", nil, "range of machines' addresses in CIDR notation (default: that of the address controller)")
	flags.StringSliceVar(&o.allowNetworks, "allow-network", nil, "range in CIDR notation that tenants' URLs may lead to although it is loopback, link-local or a metadata service")
	flags.StringVar(&o.defaultAccount, "default-service-account", "", "ServiceAccount of Environments that name none (default: none; such Environments stall)")
}

// errNoRegistry says what stage virtualization needs.
var errNoRegistry = errors.New("stage virtualization needs DVCR: name it with --registry HOST:PORT, or leave the stage out with --controllers=gitops")

func (o *options) stages() ([]setup.Stage, error) {
	var out []setup.Stage
	for _, name := range o.controllers {
		stage := setup.Stage(name)
		if !slices.Contains(setup.Stages, stage) {
			return nil, fmt.Errorf("--controllers: stage %q is unknown: take some of %v", name, setup.Stages)
		}
		out = append(out, stage)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("--controllers: name at least one stage of %v", setup.Stages)
	}
	if slices.Contains(out, setup.Virtualization) && o.registryAddress == "" {
		return nil, errNoRegistry
	}
	return out, nil
}

func (o *options) egress() (egress.Policy, error) {
	policy, err := egress.Parse(o.allowNetworks)
	if err != nil {
		return policy, fmt.Errorf("--allow-network: %w", err)
	}
	return policy, nil
}

// credentials reads the two files of a mounted Secret.
func (o *options) credentials() (registry.Credentials, error) {
	var c registry.Credentials
	if o.registryCredentials == "" {
		return c, nil
	}
	for name, into := range map[string]*string{"username": &c.Username, "password": &c.Password} {
		text, err := os.ReadFile(filepath.Join(o.registryCredentials, name))
		if errors.Is(err, fs.ErrNotExist) {
			return c, fmt.Errorf("--registry-credentials-dir: %s has no file %s: mount a Secret with the keys username and password there", o.registryCredentials, name)
		}
		if err != nil {
			return c, fmt.Errorf("read DVCR's credentials: %w", err)
		}
		*into = strings.TrimSpace(string(text))
	}
	return c, nil
}

// authority returns the PEM text of --registry-ca and a pool that holds it, or nothing.
func (o *options) authority() ([]byte, *x509.CertPool, error) {
	if o.registryCA == "" {
		return nil, nil, nil
	}
	text, err := os.ReadFile(o.registryCA)
	if err != nil {
		return nil, nil, fmt.Errorf("--registry-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, nil, fmt.Errorf("--registry-ca: %s holds no PEM certificate", o.registryCA)
	}
	return text, pool, nil
}
