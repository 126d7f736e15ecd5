// Command slipway-controller runs Slipway's controllers and admission webhooks in a cluster.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: %v\n", err)
		os.Exit(1)
	}
}

func newRoot() *cobra.Command {
	o := defaults()
	root := &cobra.Command{
		Use:   "slipway-controller",
		Short: "Slipway's controllers and admission webhooks",
		Long: `Runs the controllers of Slipway against the cluster of its kubeconfig or, in a pod, its own.

Stage gitops brings Git repositories and OCI bundles to applied objects and their health
back. Stage virtualization brings virtual machines, disks and images to KubeVirt and CDI;
leave it out where the Deckhouse Virtualization Platform does that.`,
		Version:       version.Version,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), o) },
	}
	root.SetVersionTemplate(version.Line("slipway-controller") + "\n")
	o.bind(root.Flags())
	return root
}
