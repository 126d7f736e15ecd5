package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/platform"
	"slipway.dev/slipway/reconcilers/setup"
)

// connection is a client of the cluster a command talks to.
type connection struct {
	client.WithWatch
	// reader lists; it may be a cache.
	reader    client.Reader
	config    *rest.Config
	namespace string
}

func (g *globals) layout() platform.Layout { return platform.Layout{Root: g.dataDir} }

// connect finds the cluster: by flag, by environment, the platform that runs on
// the data directory, or the user's own kubeconfig.
func (g *globals) connect() (*connection, error) {
	config, err := g.restConfig()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 50, 100
	scheme, err := setup.Scheme()
	if err != nil {
		return nil, fmt.Errorf("make the scheme: %w", err)
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	return &connection{WithWatch: c, reader: c, config: config, namespace: g.findNamespace()}, nil
}

func (g *globals) restConfig() (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	switch {
	case g.kubeconfig != "":
		rules.ExplicitPath = g.kubeconfig
	case os.Getenv(clientcmd.RecommendedConfigPathEnvVar) == "" && g.platformRuns():
		rules.ExplicitPath = g.layout().Kubeconfig()
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if clientcmd.IsEmptyConfig(err) || errors.Is(err, rest.ErrNotInCluster) {
		return nil, fmt.Errorf("no platform runs on %s and there is no kubeconfig: start one with `slipway up`, or name a cluster with --kubeconfig", g.dataDir)
	}
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return config, nil
}

func (g *globals) platformRuns() bool {
	_, runs := platform.RunningPID(g.layout())
	return runs
}

func (g *globals) findNamespace() string {
	if g.namespace != "" {
		return g.namespace
	}
	if g.platformRuns() {
		if ready, err := platform.ReadReady(g.layout()); err == nil {
			return ready.Namespace
		}
	}
	return "default"
}

// completeNames completes the first argument with names of a kind.
func completeNames(g *globals, list func() client.ObjectList) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		names, err := namesOf(cmd.Context(), g, list())
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

func namesOf(ctx context.Context, g *globals, list client.ObjectList) ([]string, error) {
	c, err := g.connect()
	if err != nil {
		return nil, err
	}
	if err := c.List(ctx, list, client.InNamespace(c.namespace)); err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	items, err := objectsOf(list)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(items))
	for _, item := range items {
		names = append(names, item.GetName())
	}
	return names, nil
}
