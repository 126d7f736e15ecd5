package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/local/platform"
)

type upOptions struct {
	platform.Options
	demo    bool
	wait    bool
	detach  bool
	timeout time.Duration
	allow   []string
}

func newUp(g *globals) *cobra.Command {
	var o upOptions
	cmd := &cobra.Command{
		Use:   "up [DIR|URL]",
		Short: "Run the whole platform on this machine",
		Long: `Run the whole platform on this machine: an embedded control plane, the registry
DVCR, a Git server and real QEMU guests. Manifests come from a local repository
(DIR, whose commits are followed), from a Git URL, or from the demo's repository.

Ctrl-C shuts the guests down and stops everything; the next start finds machines
and disks as they were.`,
		Example: `  slipway up --demo
  slipway up . --path vms --wait --timeout 5m
  slipway up https://git.example.com/team/vms.git --detach`,
		Args: atMostArgs(1, "one directory or URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.complete(g, args); err != nil {
				return err
			}
			if o.detach {
				return detach(cmd.Context(), g, cmd.OutOrStdout(), o)
			}
			return up(cmd.Context(), cmd.OutOrStdout(), o)
		},
	}
	o.register(cmd)
	return cmd
}

func (o *upOptions) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&o.demo, "demo", false, "serve a sample repository to clone, change and push")
	flags.StringVar(&o.Path, "path", "", "directory of the manifests in the source")
	flags.StringVar(&o.ServiceAccount, "service-account", "", "existing ServiceAccount to apply as (default: one with the Admin role, made by up)")
	flags.StringVar(&o.SampleImage, "sample-image", os.Getenv("SLIPWAY_SAMPLE_IMAGE"), "image for the demo in place of one built here")
	flags.StringVar(&o.MetricsAddress, "metrics-address", "0", "address to serve Prometheus metrics on, such as 127.0.0.1:9090; 0 serves none")
	flags.StringVar(&o.ReceiverAddress, "receiver-address", "", "address to take push webhooks on, such as 127.0.0.1:9292; empty takes none")
	flags.StringVar(&o.ProfileAddress, "profile-address", "0", "address to serve Go's profiles (pprof) on, such as 127.0.0.1:6060; 0 serves none")
	flags.StringSliceVar(&o.allow, "allow-network", nil, "range in CIDR notation, or address, that URLs in manifests may lead to although it is link-local or a metadata service; repeatable (loopback is allowed on one machine)")
	flags.BoolVar(&o.wait, "wait", false, "end with status 0 when all is healthy, 1 with the reasons when not")
	flags.BoolVar(&o.detach, "detach", false, "leave the platform running in the background")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long --wait waits")
}

func (o *upOptions) complete(g *globals, args []string) error {
	if o.demo && len(args) > 0 {
		return usageError{errors.New("--demo brings its own repository; leave DIR or URL out")}
	}
	if !o.demo && len(args) == 0 {
		return usageError{errors.New("want a directory or URL of manifests, or --demo")}
	}
	if g.dataDir == "" {
		return usageError{errors.New("want --data-dir: there is no home directory to put data in")}
	}
	allowed, err := egress.Parse(o.allow)
	if err != nil {
		return usageError{fmt.Errorf("--allow-network: %w", err)}
	}
	o.AllowNetworks = allowed.Allow
	o.Layout = g.layout()
	o.Namespace = g.namespace
	o.CopyKubeconfig = g.kubeconfig
	if len(args) > 0 {
		o.Source = args[0]
	}
	return nil
}

// heapGoal is the heap, in bytes, above which memory is collected more eagerly. An
// import makes much garbage quickly; at rest a platform stays far below.
const heapGoal = 96 << 20

// limitMemory keeps an import from taking twice the memory that it needs. Who sets
// GOMEMLIMIT knows better.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(heapGoal)
	}
}

// up runs the platform in this process until it is interrupted, or with --wait
// until its health is known.
func up(ctx context.Context, out io.Writer, o upOptions) error {
	limitMemory()
	p, err := platform.Start(ctx, o.Options, newProgress(out))
	if err != nil {
		return err
	}
	err = follow(ctx, out, p, o)
	fmt.Fprintln(out, "Stopping: guests shut down first.")
	stopCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	return errors.Join(err, p.Stop(stopCtx))
}

// follow shows what happens until the platform ends.
func follow(ctx context.Context, out io.Writer, p *platform.Platform, o upOptions) error {
	writeAddresses(out, p.Ready())
	if o.wait {
		return waitHealthy(ctx, out, p, o.timeout)
	}
	return watchLive(ctx, out, p)
}

func writeAddresses(out io.Writer, r platform.Ready) {
	fmt.Fprintf(out, `
  Kubeconfig   %s
  Git          %s
  DVCR         %s
  Environment  %s in namespace %s

`, r.Kubeconfig, r.GitURL, r.DVCR, r.Environment, r.Namespace)
}
