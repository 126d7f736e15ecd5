package platform

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/config/rbac"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/local/gitserver"
	"slipway.dev/slipway/local/kube"
	"slipway.dev/slipway/local/node"
	nodecrd "slipway.dev/slipway/local/node/crd"
	"slipway.dev/slipway/reconcilers/admission"
	"slipway.dev/slipway/reconcilers/setup"
)

// Options say what to run.
type Options struct {
	// Layout is the data directory.
	Layout Layout
	// Source is a local repository or a Git URL; empty means the demo.
	Source string
	// Path of the manifests in the source.
	Path string
	// Namespace of the source, the Environment and its objects; empty means demo
	// for the demo and default otherwise.
	Namespace string
	// ServiceAccount to apply as; empty makes one with the Admin role.
	ServiceAccount string
	// SampleImage is a ready image for the demo; empty builds it.
	SampleImage string
	// MetricsAddress serves Prometheus metrics; "0" or empty serves none.
	MetricsAddress string
	// ProfileAddress serves Go's profiles; "0" or empty serves none.
	ProfileAddress string
	// ReceiverAddress takes push webhooks; empty takes none.
	ReceiverAddress string
	// AllowNetworks that the URLs of manifests may lead to besides loopback and
	// what every policy allows.
	AllowNetworks []netip.Prefix
	// CopyKubeconfig is a further file to write the admin kubeconfig to.
	CopyKubeconfig string
}

// Platform is everything that runs.
type Platform struct {
	options  Options
	progress Progress

	plane  *kube.ControlPlane
	dvcr   *registry.Server
	git    *gitserver.Server // nil when the source is elsewhere
	engine *node.Node
	client client.WithWatch
	cache  cache.Cache

	ready    Ready
	gitLogin *url.Userinfo
	webhooks admission.Endpoint
	failed   chan error
	undo     []func(context.Context) error
}

// Start brings the platform up, part by part. When a part fails, those that
// already run are stopped and its error says what to do.
func Start(ctx context.Context, o Options, progress Progress) (*Platform, error) {
	if o.MetricsAddress == "" {
		o.MetricsAddress = "0"
	}
	p := &Platform{options: o, progress: progress, failed: make(chan error, 1)}
	for _, step := range []struct {
		name string
		do   func(context.Context) (string, error)
	}{
		{"Checking this machine", p.prepare},
		{"Preparing the sample image", p.prepareDemo},
		{"Starting the registry DVCR", p.startDVCR},
		{"Starting the control plane", p.startControlPlane},
		{"Installing kinds and roles", p.install},
		{"Serving Git", p.startGit},
		{"Starting the controllers", p.startControllers},
		{"Following the source", p.followSource},
	} {
		progress.Step(step.name)
		result, err := step.do(ctx)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", step.name, err), p.Stop(context.WithoutCancel(ctx)))
		}
		progress.Done(result)
	}
	if err := writeReady(o.Layout, p.ready); err != nil {
		return nil, errors.Join(err, p.Stop(context.WithoutCancel(ctx)))
	}
	return p, nil
}

// Ready says where everything is.
func (p *Platform) Ready() Ready { return p.ready }

// Client reaches the control plane as the administrator.
func (p *Platform) Client() client.WithWatch { return p.client }

// Cache is the controllers' own: to read from it and to hear of changes costs the
// API server nothing, and this process little.
func (p *Platform) Cache() cache.Cache { return p.cache }

// Failed gives the error of a part that ended by itself.
func (p *Platform) Failed() <-chan error { return p.failed }

// Stop takes everything down in reverse order: guests shut down while the
// control plane still runs, so that the next start finds what was wanted.
func (p *Platform) Stop(ctx context.Context) error {
	var failures []error
	for _, undo := range slices.Backward(p.undo) {
		failures = append(failures, undo(ctx))
	}
	p.undo = nil
	return errors.Join(failures...)
}

func (p *Platform) onStop(undo func(context.Context) error) { p.undo = append(p.undo, undo) }

func (p *Platform) fail(err error) {
	select {
	case p.failed <- err:
	default:
	}
}

func (p *Platform) prepare(context.Context) (string, error) {
	if err := node.Preflight(); err != nil {
		return "", err
	}
	layout := p.options.Layout
	if err := layout.make(); err != nil {
		return "", err
	}
	held, err := lock(layout)
	if err != nil {
		return "", err
	}
	p.onStop(func(context.Context) error { return errors.Join(removeReady(layout), held.Close()) })
	if p.options.Namespace == "" {
		p.options.Namespace = "default"
		if p.demo() {
			p.options.Namespace = "demo"
		}
	}
	return layout.Root, nil
}

func (p *Platform) startDVCR(context.Context) (string, error) {
	server, err := registry.NewServer(registry.Config{Dir: p.options.Layout.DVCR()})
	if err != nil {
		return "", err
	}
	if err := server.Start(); err != nil {
		return "", err
	}
	p.dvcr = server
	p.ready.DVCR = server.Addr()
	p.onStop(server.Close)
	return server.Addr(), nil
}

func (p *Platform) startControlPlane(ctx context.Context) (string, error) {
	plane, err := kube.Start(ctx, kube.Options{Dir: p.options.Layout.ControlPlane(), Progress: p.progress.Detail})
	if err != nil {
		return "", err
	}
	p.plane = plane
	p.onStop(plane.Stop)
	go func() {
		<-plane.Done()
		p.fail(fmt.Errorf("the control plane has ended; its log is %s", plane.LogFile()))
	}()
	p.ready.Kubeconfig = plane.Kubeconfig()
	return "kubeconfig " + plane.Kubeconfig(), p.copyKubeconfig()
}

func (p *Platform) copyKubeconfig() error {
	target := p.options.CopyKubeconfig
	if target == "" {
		return nil
	}
	text, err := os.ReadFile(p.plane.Kubeconfig())
	if err != nil {
		return fmt.Errorf("read the kubeconfig: %w", err)
	}
	if err := os.WriteFile(target, text, 0o600); err != nil {
		return fmt.Errorf("write the kubeconfig to %s: %w", target, err)
	}
	return nil
}

func (p *Platform) install(ctx context.Context) (string, error) {
	config := p.plane.Config()
	if err := kube.InstallCRDs(ctx, config, crd.Files, nodecrd.Files); err != nil {
		return "", err
	}
	scheme, err := setup.Scheme()
	if err != nil {
		return "", err
	}
	if p.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return "", fmt.Errorf("make a client: %w", err)
	}
	if err := applyFiles(ctx, p.client, rbac.Files); err != nil {
		return "", err
	}
	return "", p.applyTenant(ctx)
}
