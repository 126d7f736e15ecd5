// Command slipway-controller runs Slipway's controllers and admission webhooks in a cluster.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/internal/tracing"
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

// spanGrace is how long the last spans may take to reach their collector.
const spanGrace = 5 * time.Second

// traced runs the controllers, and sends their spans where the environment says.
func traced(ctx context.Context, o *options) (err error) {
	stop, err := tracing.Start(ctx, "slipway-controller")
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), spanGrace)
		defer cancel()
		err = errors.Join(err, stop(ctx))
	}()
	return run(ctx, o)
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
		RunE:          func(cmd *cobra.Command, _ []string) error { return traced(cmd.Context(), o) },
	}
	root.SetVersionTemplate(version.Line("slipway-controller") + "\n")
	o.bind(root.Flags())
	return root
}
