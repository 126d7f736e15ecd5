package setup

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/internal/signatures"
	"slipway.dev/slipway/reconcilers/address"
	"slipway.dev/slipway/reconcilers/class"
	"slipway.dev/slipway/reconcilers/disk"
	"slipway.dev/slipway/reconcilers/environment"
	"slipway.dev/slipway/reconcilers/garbage"
	"slipway.dev/slipway/reconcilers/image"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/storageclass"
	"slipway.dev/slipway/reconcilers/machine"
	"slipway.dev/slipway/reconcilers/operation"
	"slipway.dev/slipway/reconcilers/receiver"
	"slipway.dev/slipway/reconcilers/refuse"
	"slipway.dev/slipway/reconcilers/report"
	"slipway.dev/slipway/reconcilers/snapshot"
	"slipway.dev/slipway/reconcilers/source"
	"slipway.dev/slipway/render"
	"slipway.dev/slipway/render/schema"
	"slipway.dev/slipway/sources/flux"
	"slipway.dev/slipway/sources/git"
	"slipway.dev/slipway/sources/git/notes"
	"slipway.dev/slipway/sources/oci"
	"slipway.dev/slipway/sources/store"
)

// renderCache is how many rendered trees are kept in memory.
const renderCache = 64

// Stage is one of the two halves that run together or apart.
type Stage string

// The stages.
const (
	// GitOps brings sources to applied objects, and health to the source.
	GitOps Stage = "gitops"
	// Virtualization brings the module kinds to KubeVirt and CDI. A cluster that
	// runs the Deckhouse Virtualization Platform has its own.
	Virtualization Stage = "virtualization"
)

// Stages are all stages.
var Stages = []Stage{GitOps, Virtualization}

// StorageClasses says which classes volumes of one kind may have.
type StorageClasses = storageclass.Policy

// Options are what the binaries choose.
type Options struct {
	// Stages to run; empty means all.
	Stages []Stage
	// StoreDir keeps source artifacts. Needed by stage 1.
	StoreDir string
	// TempDir takes clones while they are fetched. Empty means the system's.
	TempDir string
	// Imports runs imports into DVCR. Needed by stage 2.
	Imports intake.Runner
	// ImportsInPods tells that Imports has a pod read each volume.
	ImportsInPods bool
	// Repositories reaches DVCR. Needed by stage 2.
	Repositories intake.Repositories
	// Login lets the engine pull from DVCR for a namespace.
	Login intake.LoginOf
	// RegistryAddress is DVCR's host and port as it stands in images' URLs.
	RegistryAddress string
	// Garbage has DVCR collect garbage; nil leaves it to others.
	Garbage garbage.Collector
	// GarbageSchedule in cron's notation; empty means every night.
	GarbageSchedule string
	// RegistryAuthority is what CDI trusts DVCR by, PEM; empty means the system's
	// authorities.
	RegistryAuthority []byte
	// SignedBy says who must have signed every container image that is imported:
	// somebody of each. Objects may ask for more.
	SignedBy []signatures.Trust
	// DiskClasses and ImageClasses are the storage classes that VirtualDisks, and
	// images on volumes, may have.
	DiskClasses, ImageClasses StorageClasses
	// EndOnReset starts a guest that resets itself anew, so that pending changes
	// take effect. Stock KubeVirt needs its feature gate RebootPolicy for that.
	EndOnReset bool
	// Namespace is where Slipway keeps what is its own.
	Namespace string
	// SingleNode names the one machine that runs everything; empty on a cluster.
	SingleNode string
	// AddressRanges of machines in CIDR notation; empty means the default range.
	AddressRanges []string
	// Freezer freezes guests for snapshots; nil means KubeVirt's subresources.
	Freezer snapshot.Freezer
	// DefaultServiceAccount is for Environments that name none; empty makes them
	// stall.
	DefaultServiceAccount string
	// Egress says which addresses the URLs of tenants may lead to.
	Egress egress.Policy
	// ReceiverAddress takes push webhooks; empty takes none.
	ReceiverAddress string
}

func (o Options) runs(s Stage) bool { return len(o.Stages) == 0 || slices.Contains(o.Stages, s) }

// Controllers adds the controllers of the chosen stages to a manager.
func Controllers(mgr ctrl.Manager, o Options) error {
	stepMetrics, err := flow.NewMetrics(metrics.Registry)
	if err != nil {
		return fmt.Errorf("set up metrics: %w", err)
	}
	if o.runs(GitOps) {
		if err := addGitOps(mgr, o, stepMetrics); err != nil {
			return fmt.Errorf("set up stage %s: %w", GitOps, err)
		}
	}
	if o.runs(Virtualization) {
		if err := addVirtualization(mgr, o, stepMetrics); err != nil {
			return fmt.Errorf("set up stage %s: %w", Virtualization, err)
		}
	}
	return nil
}

func addGitOps(mgr ctrl.Manager, o Options, m *flow.Metrics) error {
	artifacts, err := store.Open(o.StoreDir)
	if err != nil {
		return err
	}
	client := git.NewClient(git.WithTempDir(o.TempDir), git.WithEgress(o.Egress))
	validator, err := schema.FromFS(crd.Files)
	if err != nil {
		return err
	}
	c := clock.RealClock{}
	registries := oci.NewClient(o.Egress, oci.WithTempDir(o.TempDir))
	if err := source.SetupWithManager(mgr, source.Deps{Git: client, Registries: registries, Store: artifacts, Egress: o.Egress, Clock: c, Metrics: m}); err != nil {
		return err
	}
	if err := environment.SetupWithManager(mgr, environment.Deps{
		Trees: artifacts, Importer: environment.Imports{Client: flux.NewClient(o.Egress, flux.WithTempDir(o.TempDir)), Store: artifacts},
		Collect: func(ctx context.Context, fresh string) error {
			return source.Collect(ctx, mgr.GetClient(), artifacts, fresh)
		},
		Renderer: render.New(renderCache, validator), DefaultServiceAccount: o.DefaultServiceAccount, Clock: c, Metrics: m,
	}); err != nil {
		return err
	}
	if err := receiver.SetupWithManager(mgr, receiver.Deps{Address: o.ReceiverAddress, Clock: c, Metrics: m}); err != nil {
		return err
	}
	return report.SetupWithManager(mgr, report.Deps{Notes: notes.New(client), Registries: registries, Clock: c, Metrics: m})
}

func addVirtualization(mgr ctrl.Manager, o Options, m *flow.Metrics) error {
	c := clock.RealClock{}
	desk, shelf := intake.NewDesk(o.Imports, c), intake.NewShelf(o.Repositories)
	if err := mgr.Add(desk); err != nil {
		return fmt.Errorf("add the import desk: %w", err)
	}
	for _, add := range []func() error{
		func() error {
			return image.SetupWithManager(mgr, image.Deps{
				Desk: desk, InPods: o.ImportsInPods, Shelf: shelf, Login: o.Login, Authority: o.RegistryAuthority, SignedBy: o.SignedBy,
				Classes: o.ImageClasses, Clock: c, Metrics: m, Registry: metrics.Registry,
			})
		},
		func() error {
			return disk.SetupWithManager(mgr, disk.Deps{
				Desk: desk, Shelf: shelf, Login: o.Login, Authority: o.RegistryAuthority, SignedBy: o.SignedBy,
				Classes: o.DiskClasses, Clock: c, Metrics: m, Registry: metrics.Registry,
			})
		},
		func() error {
			return class.SetupWithManager(mgr, class.Deps{Namespace: o.Namespace, SingleNode: o.SingleNode, Clock: c, Metrics: m})
		},
		func() error {
			return address.SetupWithManager(mgr, address.Deps{Ranges: o.AddressRanges, Clock: c, Metrics: m})
		},
		func() error {
			return machine.SetupWithManager(mgr, machine.Deps{
				Registry:   machine.Registry{Address: o.RegistryAddress, Login: o.Login},
				EndOnReset: o.EndOnReset, Clock: c, Metrics: m,
			})
		},
		func() error {
			return snapshot.SetupWithManager(mgr, snapshot.Deps{Freezer: o.Freezer, Clock: c, Metrics: m, Registry: metrics.Registry})
		},
		func() error { return operation.SetupWithManager(mgr, operation.Deps{Clock: c, Metrics: m}) },
		func() error { return refuse.SetupWithManager(mgr, refuse.Deps{Clock: c, Metrics: m}) },
		func() error { return collectGarbage(mgr, o, c) },
	} {
		if err := add(); err != nil {
			return err
		}
	}
	return nil
}

func collectGarbage(mgr ctrl.Manager, o Options, c clock.Clock) error {
	if o.Garbage == nil {
		return nil
	}
	return garbage.SetupWithManager(mgr, garbage.Deps{DVCR: o.Garbage, Schedule: o.GarbageSchedule, Clock: c})
}
