// Command slipway runs Slipway on one machine and talks to it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/local/platform"
)

// Exit codes: 0 all is well, 1 something is not healthy or failed, 2 the command
// line is wrong.
const (
	exitFailed = 1
	exitUsage  = 2
)

// errUnhealthy ends a command with status 1 after it printed the reasons itself.
var errUnhealthy = errors.New("not healthy")

// usageError marks an error of the command line.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := newRoot(os.Stdout, os.Stderr).ExecuteContext(ctx)
	stop()
	os.Exit(exitCode(err, os.Stderr))
}

func exitCode(err error, errOut io.Writer) int {
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUnhealthy):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(errOut, "Error: %v\nRun the command with --help to see how it is used.\n", err)
		return exitUsage
	default:
		fmt.Fprintf(errOut, "Error: %v\n", err)
		return exitFailed
	}
}

// globals are the flags that every command has.
type globals struct {
	dataDir    string
	kubeconfig string
	namespace  string
}

func newRoot(out, errOut io.Writer) *cobra.Command {
	g := &globals{}
	root := &cobra.Command{
		Use:   "slipway",
		Short: "GitOps for virtual machines that hold data",
		Long: `Slipway runs virtual machines from what stands in Git: a push is rendered,
planned, applied and booted, and its health goes back to the commit.

  slipway up --demo     run everything on this machine, with a sample to play with
  slipway up DIR        the same for the manifests of a local repository`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          knownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	root.SetOut(out)
	root.SetErr(errOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	dataDir, err := platform.DefaultDataDir()
	if err != nil {
		dataDir = ""
	}
	flags := root.PersistentFlags()
	flags.StringVar(&g.dataDir, "data-dir", dataDir, "where the platform of this machine keeps its data")
	flags.StringVar(&g.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster to talk to (default: $KUBECONFIG, else the platform of --data-dir, else ~/.kube/config)")
	flags.StringVarP(&g.namespace, "namespace", "n", "", "namespace (default: that of the running platform's Environment, else default)")
	root.AddCommand(
		newUp(g), newDown(g), newGet(g), newBuild(), newPlan(g),
		newConsole(g), newSSH(g), newStart(g), newStop(g), newRestart(g),
		newBundle(), newImage(g), newReconcile(g), newVersion(),
	)
	markUsage(root)
	return root
}

// knownCommand refuses a command that there is not.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	near := root.SuggestionsFor(args[0])
	if len(near) == 0 {
		return fmt.Errorf("there is no command %q", args[0])
	}
	return fmt.Errorf("there is no command %q; is it %s?", args[0], strings.Join(near, " or "))
}

// markUsage makes wrong arguments of any command errors of the command line.
func markUsage(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		markUsage(sub)
	}
}

func atMostArgs(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return fmt.Errorf("want at most %s, got %d arguments", what, len(args))
		}
		return nil
	}
}

func exactArgs(n int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("want %s, got %d arguments", what, len(args))
		}
		return nil
	}
}
