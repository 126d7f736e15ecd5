package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/reconcilers/environment"
	"slipway.dev/slipway/reconcilers/setup"
)

// exitChanges is the status of `plan --exit-code` when there are changes, as
// `git diff --exit-code` has it.
var errChanges = fmt.Errorf("%w: there are changes", errUnhealthy)

func newPlan(g *globals) *cobra.Command {
	var output outputFlag
	var exitCode bool
	var variables []string
	cmd := &cobra.Command{
		Use:   "plan ENVIRONMENT [DIR]",
		Short: "Show what a directory would change in an Environment, and what restarts",
		Long: `Show what applying DIR (default: the current directory, as it is on disk) would
change in an Environment: what is created, what takes effect at once, what waits
for a restart, what is replaced, destroyed or retained. Nothing is changed.`,
		Args: cobra.RangeArgs(1, 2),
		ValidArgsFunction: completeNames(g, func() client.ObjectList {
			return &v1alpha1.EnvironmentList{}
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			tree, err := openTree(args[1:])
			if err != nil {
				return err
			}
			c, err := g.connect()
			if err != nil {
				return err
			}
			p, err := makePlan(cmd.Context(), c, args[0], variables, tree)
			if err != nil {
				return err
			}
			if err := printPlan(cmd.OutOrStdout(), p, output); err != nil {
				return err
			}
			if exitCode && p.HasChanges() {
				return errChanges
			}
			return nil
		},
	}
	output.register(cmd)
	cmd.Flags().StringArrayVar(&variables, "var", nil, "substitute a variable, as NAME=VALUE; may be repeated")
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "end with status 1 when there are changes")
	return cmd
}

func makePlan(ctx context.Context, c *connection, name string, variables []string, tree fs.FS) (plan.Plan, error) {
	env := &v1alpha1.Environment{}
	if err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: name}, env); err != nil {
		return plan.Plan{}, fmt.Errorf("find Environment %s in namespace %s: %w", name, c.namespace, err)
	}
	if err := declare(env, variables); err != nil {
		return plan.Plan{}, err
	}
	planner, err := setup.Planner(c)
	if err != nil {
		return plan.Plan{}, err
	}
	return planner.Plan(ctx, c, env, environment.Tree{Files: tree, Revision: "this directory"})
}

func printPlan(out io.Writer, p plan.Plan, output outputFlag) error {
	if output == "table" {
		return plan.Text(out, p)
	}
	text, err := json.MarshalIndent(p, "", "  ")
	if err == nil && output == "yaml" {
		text, err = yaml.JSONToYAML(text)
	}
	if err != nil {
		return fmt.Errorf("print the plan: %w", err)
	}
	fmt.Fprintln(out, string(text))
	return nil
}
