package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"slipway.dev/slipway/reconcilers/image/podimport"
	"slipway.dev/slipway/reconcilers/setup"
)

// leaseName is the Lease that replicas elect their leader by.
const leaseName = "slipway-controller"

// run runs the controllers until ctx ends.
func run(ctx context.Context, o *options) error {
	ctrl.SetLogger(zap.New())
	stages, err := o.stages()
	if err != nil {
		return err
	}
	policy, err := o.egress()
	if err != nil {
		return err
	}
	config, err := connect(o.kubeconfig)
	if err != nil {
		return err
	}
	mgr, err := newManager(config, o)
	if err != nil {
		return err
	}
	chosen := setup.Options{
		Stages: stages, StoreDir: filepath.Join(o.dataDir, "store"), Namespace: o.namespace,
		DiskClasses: o.diskClasses, ImageClasses: o.imageClasses,
		AddressRanges: o.addressRanges, Egress: policy, DefaultServiceAccount: o.defaultAccount,
	}
	if chosen.SignedBy, err = o.trust(); err != nil {
		return err
	}
	if slices.Contains(stages, setup.Virtualization) {
		stop, err := useRegistry(ctx, mgr, o, &chosen)
		if err != nil {
			return err
		}
		defer stop()
	}
	if err := errors.Join(setup.Controllers(mgr, chosen), serveWebhooks(ctx, mgr, o, stages)); err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the controllers: %w", err)
	}
	return nil
}

// connect reads the kubeconfig, or takes the pod's own cluster.
func connect(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster (in no pod? name a kubeconfig with --kubeconfig): %w", err)
	}
	config.QPS = -1 // the API server's own fairness is the limit
	return config, nil
}

func newManager(config *rest.Config, o *options) (ctrl.Manager, error) {
	scheme, err := setup.Scheme()
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Metrics:                 metricsserver.Options{BindAddress: o.metrics},
		HealthProbeBindAddress:  o.probes,
		WebhookServer:           webhook.NewServer(webhook.Options{Port: o.webhookPort, CertDir: o.certDir}),
		LeaderElection:          o.elect,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: o.namespace,
		// The process ends with its manager, so the next leader need not wait for the lease to run out.
		LeaderElectionReleaseOnCancel: true,
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(),
			ByObject:         map[client.Object]cache.ByObject{&corev1.Pod{}: {Label: podimport.Pods()}}, // none else is watched
		},
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.Pod{}, &corev1.PodTemplate{}}}},
	})
	if err != nil {
		return nil, fmt.Errorf("make the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("alive", healthz.Ping); err != nil {
		return nil, fmt.Errorf("add the liveness probe: %w", err)
	}
	return mgr, nil
}
