package main

import (
	"github.com/spf13/cobra"

	"slipway.dev/slipway/test/engine/node"
	"slipway.dev/slipway/test/engine/preflight"
)

// newPrepare and newRun are the two lives of a node's first process.
func newPrepare() *cobra.Command {
	var spec string
	cmd := &cobra.Command{
		Use: node.PrepareCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return node.Prepare(spec) },
	}
	cmd.Flags().StringVar(&spec, "spec", "", "file that says what the node is")
	return cmd
}

func newRun() *cobra.Command {
	return &cobra.Command{
		Use: node.RunCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return node.Run() },
	}
}

// newProbe tries the kernel, in namespaces that are there already.
func newProbe() *cobra.Command {
	return &cobra.Command{
		Use: preflight.ProbeCommand, Hidden: true, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return preflight.Probe() },
	}
}
