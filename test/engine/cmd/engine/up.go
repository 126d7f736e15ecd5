package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/test/engine/cluster"
	"slipway.dev/slipway/test/engine/install"
	"slipway.dev/slipway/test/engine/network"
	"slipway.dev/slipway/test/engine/preflight"
)

// upFlags are the flags of engine up.
type upFlags struct {
	nodes      int
	port       int
	timeout    time.Duration
	components []string
	keepFailed bool
}

func newUp(s *settings) *cobra.Command {
	f := &upFlags{}
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring up nodes and what runs on them, building first what is missing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.up(cmd.Context(), cmd.OutOrStdout(), *f)
		},
	}
	cmd.Flags().IntVar(&f.nodes, "nodes", 1, fmt.Sprintf("number of nodes, at most %d", network.MostNodes))
	cmd.Flags().IntVar(&f.port, "port", 0, "port of the API server on loopback (default a free one)")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 10*time.Minute, "give up after this time, builds not counted")
	cmd.Flags().BoolVar(&f.keepFailed, "keep-failed", false, "leave what fails as it is, to be looked at with engine shell")
	componentFlag(cmd, &f.components)
	return cmd
}

func (s *settings) up(ctx context.Context, out io.Writer, f upFlags) error {
	l, err := s.layout()
	if err != nil {
		return err
	}
	if err := preflight.Run(l.Dir); err != nil {
		return fmt.Errorf("bring up the engine: %w", err)
	}
	if _, err := network.New(f.nodes); err != nil {
		return err
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if err := preflight.Kernel(ctx, executable); err != nil {
		return fmt.Errorf("bring up the engine: %w", err)
	}
	made, err := s.build(ctx, out, f.components)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("no success within %s (--timeout)", f.timeout))
	defer cancel()
	report := progress(out, time.Now())
	err = cluster.Up(ctx, l, cluster.Options{
		Nodes: f.nodes, Port: f.port, Executable: executable, Binaries: made.binaries, Images: made.images,
		Components: installers(f.components), KeepFailed: f.keepFailed, Report: report,
	})
	if err != nil {
		return err
	}
	report("up: export KUBECONFIG=" + l.Kubeconfig())
	return nil
}

// installers are those of the components that are more than images.
func installers(names []string) []install.Component {
	var chosen []install.Component
	for _, component := range []install.Component{install.CSI, install.KubeVirt, install.CDI} {
		if slices.Contains(names, component.Name) {
			chosen = append(chosen, component)
		}
	}
	return chosen
}

// progress writes each step with the time at which it begins.
func progress(out io.Writer, started time.Time) func(string) {
	return func(step string) {
		fmt.Fprintf(out, "%7.1fs  %s\n", time.Since(started).Seconds(), step)
	}
}
