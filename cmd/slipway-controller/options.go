package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"slipway.dev/slipway/config/rbac"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/internal/signatures"
	"slipway.dev/slipway/reconcilers/garbage"
	"slipway.dev/slipway/reconcilers/image/uploads"
	"slipway.dev/slipway/reconcilers/keyring"
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
	registryKeys        bool
	registryCredentials string
	registryCA          string
	garbageSchedule     string
	importerTemplate    string
	signedBy            string

	uploadBind      string
	uploadURL       string
	uploadAdvertise string

	diskClasses  setup.StorageClasses
	imageClasses setup.StorageClasses

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
	flags.BoolVar(&o.registryKeys, "registry-keys", false, "keep the key and the certificate of a slipway-dvcr in the Secrets "+keyring.KeySecret+" and "+keyring.CertificateSecret+": each namespace and each import has a login of its own then")
	flags.StringVar(&o.registryCredentials, "registry-credentials-dir", "", "for another registry: directory with the files username and password (default: anonymous); tenants' namespaces see them")
	flags.StringVar(&o.registryCA, "registry-ca", "", "for another registry: PEM file of the authority that its certificate is from (default: the system's authorities)")
	flags.StringVar(&o.garbageSchedule, "registry-gc-schedule", garbage.DefaultSchedule, `when DVCR collects garbage, in cron's notation; "never" leaves it to others`)
	flags.StringVar(&o.importerTemplate, "importer-template", "", "PodTemplate in --namespace that the pods which import are made after (default: imports run in the controller; images from volumes need pods)")
	flags.StringVar(&o.signedBy, "signed-by-dir", "", "directory of a mounted Secret that says who must have signed every container image which is imported: keys of cosign's (*.pub), or a trust policy of notation's (trustpolicy.json, *.crt) (default: nobody)")
	flags.StringVar(&o.uploadBind, "upload-bind-address", ":8082", `address where the leader receives uploads; "0" receives none`)
	flags.StringVar(&o.uploadURL, "upload-url", "", "how users reach the Service "+uploads.Service+" from outside, such as https://uploads.example.com (default: its address in the cluster)")
	flags.StringVar(&o.uploadAdvertise, "upload-advertise-address", "", "this pod's address, to which the leader leads the Service "+uploads.Service)
	flags.StringVar(&o.diskClasses.Default, "virtual-disk-default-storage-class", "", "storage class of VirtualDisks that name none (default: the cluster's)")
	flags.StringSliceVar(&o.diskClasses.Allowed, "virtual-disk-allowed-storage-classes", nil, "storage classes that VirtualDisks may have beside their default (default: all, where they have no default either)")
	flags.StringVar(&o.imageClasses.Default, "virtual-image-default-storage-class", "", "storage class of VirtualImages that are kept on volumes and name none (default: the cluster's)")
	flags.StringSliceVar(&o.imageClasses.Allowed, "virtual-image-allowed-storage-classes", nil, "storage classes that VirtualImages may have beside their default (default: all, where they have no default either)")
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
	if o.registryKeys && (o.registryCredentials != "" || o.registryCA != "") {
		return nil, errTwoLogins
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

var (
	errTwoLogins = errors.New("--registry-keys has DVCR's key and certificate made and read from Secrets: leave out --registry-credentials-dir and --registry-ca")
	errUploadURL = errors.New("--upload-url must begin with http:// or https:// and name a host")
)

// receives tells whether uploads are received.
func (o *options) receives() bool { return o.uploadBind != "0" }

// external is how users outside of the cluster reach uploads.
func (o *options) external() (string, error) {
	if o.uploadURL == "" {
		return uploads.InCluster(o.namespace), nil
	}
	at, err := url.Parse(o.uploadURL)
	if err != nil || at.Host == "" || (at.Scheme != "http" && at.Scheme != "https") || at.RawQuery != "" {
		return "", fmt.Errorf("%w: %q", errUploadURL, o.uploadURL)
	}
	return strings.TrimSuffix(o.uploadURL, "/"), nil
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

// trust reads --signed-by-dir.
func (o *options) trust() ([]signatures.Trust, error) {
	if o.signedBy == "" {
		return nil, nil
	}
	t, err := signatures.ReadDir(o.signedBy)
	if err != nil {
		return nil, fmt.Errorf("--signed-by-dir: %w", err)
	}
	return []signatures.Trust{t}, nil
}

var errNoAuthority = errors.New("DVCR's authority holds no PEM certificate")

// authority returns the PEM text of --registry-ca, or nothing.
func (o *options) authority() ([]byte, error) {
	if o.registryCA == "" {
		return nil, nil
	}
	text, err := os.ReadFile(o.registryCA)
	if err != nil {
		return nil, fmt.Errorf("--registry-ca: %w", err)
	}
	return text, nil
}
