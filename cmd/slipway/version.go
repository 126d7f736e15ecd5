package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/internal/version"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactArgs(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintln(cmd.OutOrStdout(), version.Line("slipway"))
			return nil
		},
	}
}
