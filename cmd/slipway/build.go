package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/printers"

	"slipway.dev/slipway/render/kustomize"
)

func newBuild() *cobra.Command {
	var from buildFlags
	cmd := &cobra.Command{
		Use:   "build [DIR]",
		Short: "Render a directory as the controller would, check it, and print it",
		Long: `Render a directory as the controller would: decrypted, built, with its variables
substituted, and checked against the schemas of Slipway's and Kubernetes' kinds.
It needs no cluster.

--environment takes the settings from the manifest of an Environment. ConfigMaps
and Secrets that the Environment takes variables or keys from are found in the same
file. What is decrypted or comes from a Secret is printed in clear.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			tree, err := openTree(args)
			if err != nil {
				return err
			}
			objects, err := from.render(cmd.Context(), tree)
			if err != nil {
				return err
			}
			return printObjects(cmd.OutOrStdout(), objects)
		},
	}
	from.register(cmd)
	return cmd
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

func printObjects(out io.Writer, objects []*unstructured.Unstructured) error {
	printer := &printers.YAMLPrinter{}
	for _, shared := range objects {
		u := shared.DeepCopy()
		kustomize.StripOrigin(u)
		if err := printer.PrintObj(u, out); err != nil {
			return fmt.Errorf("print %s: %w", u.GetName(), err)
		}
	}
	return nil
}
