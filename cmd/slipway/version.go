package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/local/platform"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactArgs(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintf(cmd.OutOrStdout(), "slipway %s (%s, %s/%s)\n", platform.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
