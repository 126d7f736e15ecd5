package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/test/engine/cluster"
)

// formats are the values of -o.
var formats = []string{"table", "json", "yaml"}

func newStatus(s *settings) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what is up",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := s.layout()
			if err != nil {
				return err
			}
			status, err := l.Status(cmd.Context())
			if err != nil {
				return err
			}
			return printStatus(cmd.OutOrStdout(), format, status)
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", formats[0], "table, json or yaml")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func printStatus(out io.Writer, format string, status cluster.Status) error {
	switch format {
	case "json":
		text, err := json.MarshalIndent(status, "", "  ")
		if err != nil {
			return fmt.Errorf("encode status: %w", err)
		}
		fmt.Fprintln(out, string(text))
		return nil
	case "yaml":
		text, err := yaml.Marshal(status)
		if err != nil {
			return fmt.Errorf("encode status: %w", err)
		}
		fmt.Fprint(out, string(text))
		return nil
	case "table":
		return printTable(out, status)
	}
	return fmt.Errorf("unknown output format %q: choose table, json or yaml", format)
}

func printTable(out io.Writer, status cluster.Status) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tREADY\tPODS\tPROCESSES")
	for _, n := range status.Nodes {
		fmt.Fprintf(w, "%s\t%t\t%d of %d\t%d\n", n.Name, n.Ready, n.PodsReady, n.Pods, n.Processes)
	}
	fmt.Fprintf(w, "\nKubernetes %s at %s\nKUBECONFIG=%s\n", status.Version, status.Server, status.Kubeconfig)
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print status: %w", err)
	}
	return nil
}
