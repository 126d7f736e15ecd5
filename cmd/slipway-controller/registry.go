package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"path/filepath"

	"k8s.io/utils/clock"
	"oras.land/oras-go/v2/registry/remote"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/dvcr/upload"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/image/podimport"
	"slipway.dev/slipway/reconcilers/image/uploads"
	"slipway.dev/slipway/reconcilers/keyring"
	"slipway.dev/slipway/reconcilers/setup"
)

// never is the schedule of no garbage collection.
const never = "never"

// access is how this process and others log in at DVCR.
type access struct {
	controller registry.Credentials
	reader     intake.LoginOf
	importer   func(repository string) intake.Login
	uploadKey  []byte
	authority  []byte // PEM; empty means the system's authorities
	dvcr       bool   // it is a slipway-dvcr, whose key is known
}

// useRegistry has images imported into DVCR. It returns what ends imports in this process.
func useRegistry(ctx context.Context, mgr ctrl.Manager, o *options, into *setup.Options) (func(), error) {
	a, err := o.access(ctx, mgr)
	if err != nil {
		return nil, err
	}
	with, err := trust(a.authority)
	if err != nil {
		return nil, err
	}
	dvcr := registry.NewClient(o.registryAddress, a.controller, with...)
	received, err := receiveUploads(mgr, o, a.uploadKey)
	if err != nil {
		return nil, err
	}
	local := importer.NewRunner(dvcr, importer.Options{
		Dir: filepath.Join(o.dataDir, "imports"), Egress: into.Egress, Uploads: received,
		// KubeVirt and CDI read images in their own forms.
		Faces: func(r *remote.Repository) disk.FaceMaker { return registry.Faces{Repository: r} },
	})
	into.Imports, err = runnerOf(mgr, o, a, into, local)
	if err != nil {
		local.Close()
		return nil, err
	}
	into.Repositories, into.RegistryAddress = dvcr, o.registryAddress
	into.RegistryAuthority, into.Login = a.authority, a.reader
	if a.dvcr && o.garbageSchedule != never {
		into.Garbage, into.GarbageSchedule = dvcr, o.garbageSchedule
	}
	return local.Close, nil
}

// trust makes a registry client trust an authority.
func trust(authority []byte) ([]registry.Option, error) {
	if len(authority) == 0 {
		return nil, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errNoAuthority
	}
	return []registry.Option{registry.WithRoots(roots)}, nil
}

// runnerOf has imports run in pods where there is a template for them.
func runnerOf(mgr ctrl.Manager, o *options, a access, chosen *setup.Options, local *importer.Runner) (intake.Runner, error) {
	if o.importerTemplate == "" {
		return local, nil
	}
	pods := podimport.NewRunner(podimport.Options{
		Client: mgr.GetClient(), Namespace: o.namespace, Template: o.importerTemplate, Registry: o.registryAddress,
		Authority: a.authority, Login: a.importer, Egress: chosen.Egress, Local: local,
	})
	if err := pods.SetupWithManager(mgr); err != nil {
		return nil, err
	}
	chosen.ImportsInPods = true
	return pods, nil
}

func receiveUploads(mgr ctrl.Manager, o *options, key []byte) (*upload.Server, error) {
	if !o.receives() {
		return nil, nil //nolint:nilnil // none is what the importer takes for uploads that are refused
	}
	external, err := o.external()
	if err != nil {
		return nil, err
	}
	received, err := upload.NewServer(upload.Options{Key: key, External: external, InCluster: uploads.InCluster(o.namespace)})
	if err != nil {
		return nil, err
	}
	return received, uploads.SetupWithManager(mgr, uploads.Options{
		Uploads: received, Bind: o.uploadBind, Pod: o.uploadAdvertise, Namespace: o.namespace,
	})
}

// access finds out how to log in at DVCR.
func (o *options) access(ctx context.Context, mgr ctrl.Manager) (access, error) {
	c, err := o.credentials()
	if err != nil {
		return access{}, err
	}
	authority, err := o.authority()
	if err != nil {
		return access{}, err
	}
	keeper, err := o.keeper(mgr)
	if err != nil {
		return access{}, err
	}
	if o.registryKeys {
		return keyed(ctx, mgr, keeper)
	}
	key, err := keeper.Key(ctx)
	if err != nil {
		return access{}, err
	}
	same := func(string) intake.Login { return intake.Login(c) }
	return access{controller: c, reader: same, importer: same, uploadKey: key.Derive(forUploads), authority: authority}, nil
}

// forUploads is what else the key is for.
const forUploads = "uploads"

func (o *options) keeper(mgr ctrl.Manager) (*keyring.Keeper, error) {
	host, _, err := net.SplitHostPort(o.registryAddress)
	if err != nil {
		return nil, fmt.Errorf("--registry: %w", err)
	}
	past, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	return &keyring.Keeper{Client: past, Namespace: o.namespace, Host: host, Clock: clock.RealClock{}}, nil
}

// keyed shares a key with DVCR.
func keyed(ctx context.Context, mgr ctrl.Manager, keeper *keyring.Keeper) (access, error) {
	ring, err := keeper.Ensure(ctx)
	if err != nil {
		return access{}, err
	}
	if err := mgr.Add(keeper); err != nil {
		return access{}, fmt.Errorf("keep DVCR's certificate: %w", err)
	}
	return access{
		controller: ring.Key.Controller(),
		reader:     func(namespace string) intake.Login { return intake.Login(ring.Key.ReaderOf(namespace)) },
		importer:   func(repository string) intake.Login { return intake.Login(ring.Key.ImporterOf(repository)) },
		uploadKey:  ring.Key.Derive(forUploads), authority: ring.Authority, dvcr: true,
	}, nil
}
