package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/printers"

	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/render/kustomize"
	"slipway.dev/slipway/render/schema"
)

func newBuild() *cobra.Command {
	var options kustomize.Options
	cmd := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Render a directory as the controller would, check it, and print it",
		Long: `Render a directory as the controller would, check the objects against the
schemas of Slipway's kinds, and print them as YAML. It needs no cluster.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tree, err := openTree(args)
			if err != nil {
				return err
			}
			objects, err := render(cmd.Context(), tree, options)
			if err != nil {
				return err
			}
			return printObjects(cmd.OutOrStdout(), objects)
		},
	}
	registerRender(cmd, &options)
	return cmd
}

func registerRender(cmd *cobra.Command, options *kustomize.Options) {
	cmd.Flags().StringVar(&options.Path, "path", "", "directory to render inside of DIR, which stays the jail")
	cmd.Flags().StringVar(&options.TargetNamespace, "target-namespace", "", "namespace to set on every namespaced object")
	cmd.Flags().StringVar(&options.NamePrefix, "name-prefix", "", "put before every name")
	cmd.Flags().StringVar(&options.NameSuffix, "name-suffix", "", "put after every name")
}

func openTree(args []string) (fs.FS, error) {
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return root.FS(), nil
}

// render renders and validates; it returns every problem that it finds.
func render(ctx context.Context, tree fs.FS, options kustomize.Options) ([]*unstructured.Unstructured, error) {
	objects, err := kustomize.New(1).Render(ctx, "", tree, options)
	if err != nil {
		return nil, err
	}
	validator, err := schema.FromFS(crd.Files)
	if err != nil {
		return nil, err
	}
	if problems := validator.Validate(ctx, objects, tree); len(problems) > 0 {
		return nil, problems
	}
	return objects, nil
}

func printObjects(out io.Writer, objects []*unstructured.Unstructured) error {
	printer := &printers.YAMLPrinter{}
	for _, u := range objects {
		kustomize.StripOrigin(u)
		if err := printer.PrintObj(u, out); err != nil {
			return fmt.Errorf("print %s: %w", u.GetName(), err)
		}
	}
	return nil
}
