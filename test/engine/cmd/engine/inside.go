package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/test/engine/cluster"
	"slipway.dev/slipway/test/engine/node"
)

func newShell(s *settings) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "shell [-- COMMAND ARGS...]",
		Short: "Run a shell or a command inside a node, with kubectl and ctr at hand",
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := s.layout()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				args = []string{"/bin/bash"}
			}
			inside, err := l.Enter(name, args...)
			if err != nil {
				return err
			}
			inside.Stdin, inside.Stdout, inside.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runInside(inside)
		},
	}
	nodeFlag(cmd, s, &name)
	return cmd
}

func runInside(cmd *exec.Cmd) error {
	err := cmd.Run()
	var ended *exec.ExitError
	if errors.As(err, &ended) && ended.ExitCode() > 0 {
		return exitCode(ended.ExitCode())
	}
	if err != nil {
		return fmt.Errorf("run inside the node: %w", err)
	}
	return nil
}

func nodeFlag(cmd *cobra.Command, s *settings, name *string) {
	cmd.Flags().StringVar(name, "node", "node1", "name of the node")
	_ = cmd.RegisterFlagCompletionFunc("node", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return s.nodes(), cobra.ShellCompDirectiveNoFileComp
	})
}

// nodes are the names of those that run, none when nothing does.
func (s *settings) nodes() []string {
	l, err := s.layout()
	if err != nil {
		return nil
	}
	state, err := l.ReadState()
	if err != nil {
		return nil
	}
	return state.Nodes
}

func newLogs(s *settings) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "logs [SERVICE]",
		Short: "Print the log of a node's service, or list the services",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := s.layout()
			if err != nil {
				return err
			}
			services, err := services(l, name)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), strings.Join(services, "\n"))
				return nil
			}
			if !slices.Contains(services, args[0]) {
				return fmt.Errorf("%s has no service %q: choose from %s", name, args[0], strings.Join(services, ", "))
			}
			return printFile(cmd.OutOrStdout(), filepath.Join(l.Root(name), node.LogDir, args[0]+".log"))
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			l, err := s.layout()
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			names, _ := services(l, name)
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	nodeFlag(cmd, s, &name)
	return cmd
}

// services are those that have a log, also after they have ended.
func services(l cluster.Layout, name string) ([]string, error) {
	logs, err := filepath.Glob(filepath.Join(l.Root(name), node.LogDir, "*.log"))
	if err != nil {
		return nil, fmt.Errorf("list logs of %s: %w", name, err)
	}
	if len(logs) == 0 {
		return nil, fmt.Errorf("%w: %s has no logs in %s", cluster.ErrNotUp, name, l.Dir)
	}
	names := make([]string, 0, len(logs))
	for _, log := range logs {
		names = append(names, strings.TrimSuffix(filepath.Base(log), ".log"))
	}
	return names, nil
}

func printFile(out io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("print log: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(out, f); err != nil {
		return fmt.Errorf("print log: %w", err)
	}
	return nil
}

func newKubeconfig(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "kubeconfig",
		Short: "Print the path of a kubeconfig that works on this machine",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := s.layout()
			if err != nil {
				return err
			}
			if _, err := l.ReadState(); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), l.Kubeconfig())
			return nil
		},
	}
}
