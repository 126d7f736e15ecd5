// Command kubevirt-manifests writes what KubeVirt's operator would install.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/test/engine/kubevirt/module/manifest"
)

func main() {
	if err := newCommand().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

func newCommand() *cobra.Command {
	var out, shape string
	var plan manifest.Plan
	command := &cobra.Command{
		Use:   "kubevirt-manifests --out DIR",
		Short: "Write what KubeVirt's operator would install, by stages",
		Long: `Writes KubeVirt's definitions, permissions, certificates, services, workloads and
webhooks into one List file for each stage, named in the order in which to apply
them. 16-kubevirt-status.json is for the status subresource. Apply the webhooks
when virt-api answers.`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(*cobra.Command, []string) error {
			plan.Shape = manifest.Shape(shape)
			return manifest.Write(out, plan)
		},
	}
	flags := command.Flags()
	flags.StringVar(&out, "out", "manifests", "directory to write to; created when it does not exist")
	flags.StringVar(&shape, "shape", string(manifest.Pods), "how the control plane runs: pods or processes")
	flags.StringVar(&plan.Namespace, "namespace", "kubevirt", "namespace of KubeVirt")
	flags.StringVar(&plan.Registry, "registry", "localhost", "registry of the images")
	flags.StringVar(&plan.Tag, "tag", "engine", "tag of the images")
	flags.IntVar(&plan.Port, "port", 0, "port of virt-api on the host, for processes")
	flags.DurationVar(&plan.Lifetime, "lifetime", 365*24*time.Hour, "how long the certificates last")
	flags.StringSliceVar(&plan.Gates, "feature-gates", manifest.DefaultGates, "KubeVirt's feature gates to switch on")
	flags.UintVar(&plan.Verbosity, "verbosity", 2, "log level of KubeVirt's components")
	return command
}
