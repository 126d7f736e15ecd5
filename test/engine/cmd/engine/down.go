package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/test/engine/cluster"
	"slipway.dev/slipway/test/engine/preflight"
)

func newDown(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End all that runs and remove all that it made; what was built stays",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := preflight.Root(); err != nil {
				return fmt.Errorf("take down the engine: %w", err)
			}
			l, err := s.layout()
			if err != nil {
				return err
			}
			found, err := cluster.Down(cmd.Context(), l)
			if err != nil {
				return fmt.Errorf("take down the engine: %w", err)
			}
			if !found {
				fmt.Fprintln(cmd.OutOrStdout(), "nothing was up")
			}
			return nil
		},
	}
}
