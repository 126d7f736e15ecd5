package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/local/platform"
)

func newDown(g *globals) *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Stop the platform of this machine; machines and disks stay as they are",
		Long: `Stop the platform that runs on the data directory: guests shut down, then the
controllers, the control plane and the registry. Nothing is deleted; the next
` + "`slipway up`" + ` finds machines and disks as they were.`,
		Args: exactArgs(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			stopped, err := platform.Down(ctx, g.layout())
			if err != nil {
				return err
			}
			if !stopped {
				fmt.Fprintf(cmd.OutOrStdout(), "No platform runs on %s.\n", g.dataDir)
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout(), "Stopped.")
			return nil
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Minute, "how long to wait for guests to shut down")
	return cmd
}
