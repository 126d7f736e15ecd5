// Command slipway-controlplane runs a Kubernetes control plane in one process.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"slipway.dev/slipway/local/controlplane"
)

func main() {
	// Whoever reads the ready line may be gone before the end: not our end.
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	err := newCommand().ExecuteContext(ctx)
	klog.Flush()
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

// errNoDir is a start without a data directory.
var errNoDir = errors.New("no data directory: name one with --dir")

func newCommand() *cobra.Command {
	config := controlplane.Config{}
	var followParent bool
	command := &cobra.Command{
		Use:   "slipway-controlplane --dir DIR",
		Short: "Run etcd, kube-apiserver and the controllers it needs in one process",
		Long: `Runs a Kubernetes control plane on loopback, with all its data in one directory:
an embedded etcd, kube-apiserver with RBAC and default admission, and the
controllers without which namespaces and owned objects are never cleaned up.

When the API server answers, one line of JSON on standard output says where it
is. The admin kubeconfig stands in the data directory. Logs go to standard error.`,
		Example: `  slipway-controlplane --dir ~/.local/share/slipway/controlplane
  kubectl --kubeconfig ~/.local/share/slipway/controlplane/kubeconfig get namespaces`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(command *cobra.Command, _ []string) error {
			if config.Dir == "" {
				return errNoDir
			}
			if followParent {
				config.Parent, config.ParentPID = os.Stdin, os.Getppid()
			}
			config.OnReady = func(ready controlplane.Ready) { printReady(command, ready) }
			return controlplane.Run(command.Context(), config)
		},
	}
	addFlags(command, &config, &followParent)
	command.AddCommand(newVersionCommand())
	return command
}

func addFlags(command *cobra.Command, config *controlplane.Config, followParent *bool) {
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&config.Dir, "dir", "", "data directory; created when it does not exist")
	flags.IntVar(&config.Port, "port", 0, "port of the API server on loopback (0: the last one when free, else any)")
	flags.StringSliceVar(&config.Controllers, "controllers", controlplane.DefaultControllers, "controllers to run; empty for none")
	flags.BoolVar(followParent, "stop-with-parent", false, "stop when standard input ends, as a pipe does when the process that holds it ends")
	flags.BoolVar(&config.UnsafeNoFsync, "unsafe-no-fsync", false, "do not wait for the disk: faster, loses data when the machine stops; for tests")
	flags.BoolVar(&config.RemoveDataOnExit, "remove-data-on-exit", false, "delete the data directory at the end; it must be empty at the start")
	// A library of Kubernetes adds this one to every command line.
	cobra.CheckErr(pflag.CommandLine.MarkHidden("version"))
	flags.IntVarP(&config.Verbosity, "v", "v", 0, "log level of the API server and the controllers")
}

// printReady tells a reader of standard output that the server answers. That
// reader may have gone, which is no reason to stop.
func printReady(command *cobra.Command, ready controlplane.Ready) {
	if err := json.NewEncoder(command.OutOrStdout()).Encode(ready); err != nil {
		klog.ErrorS(err, "Nobody reads the ready line")
	}
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the versions as JSON",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := json.NewEncoder(command.OutOrStdout()).Encode(controlplane.Version()); err != nil {
				return fmt.Errorf("print version: %w", err)
			}
			return nil
		},
	}
}
