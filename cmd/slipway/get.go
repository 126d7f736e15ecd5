package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

func newGet(g *globals) *cobra.Command {
	var output outputFlag
	var allNamespaces bool
	cmd := &cobra.Command{
		Use:   "get [" + strings.Join(viewNames(), "|") + "] [NAME]",
		Short: "List what is there, and how it is",
		Long: `List what is there, and how it is: with no argument all kinds of which there is
something. MESSAGE says what keeps an object from being healthy; it is empty for
one that is.`,
		Example: `  slipway get                 everything
  slipway get disks           the disks; those that left Git are marked as retained
  slipway get vms web -o yaml`,
		Args:              atMostArgs(2, "a kind and a name"),
		ValidArgsFunction: completeGet(g),
		RunE: func(cmd *cobra.Command, args []string) error {
			selected, name, err := selectViews(args)
			if err != nil {
				return err
			}
			c, err := g.connect()
			if err != nil {
				return err
			}
			if allNamespaces {
				c.namespace = metav1.NamespaceAll
			}
			return get(cmd.Context(), cmd.OutOrStdout(), c, selected, name, output)
		},
	}
	output.register(cmd)
	cmd.Flags().BoolVarP(&allNamespaces, "all-namespaces", "A", false, "list in all namespaces")
	return cmd
}

// viewNames are the kinds that can be listed.
func viewNames() []string {
	names := []string{"all"}
	for _, v := range views {
		names = append(names, v.names[0])
	}
	return names
}

// completeGet completes a kind, and then the name of one of its objects.
func completeGet(g *globals) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return viewNames(), cobra.ShellCompDirectiveNoFileComp
		}
		v, err := findView(args[0])
		if err != nil || len(args) > 1 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completeNames(g, v.list)(cmd, nil, toComplete)
	}
}

func selectViews(args []string) (selected []view, name string, err error) {
	if len(args) == 0 || args[0] == "all" {
		return views, "", nil
	}
	v, err := findView(args[0])
	if err != nil {
		return nil, "", err
	}
	if len(args) == 2 {
		name = args[1]
	}
	return []view{v}, name, nil
}

func get(ctx context.Context, out io.Writer, c *connection, selected []view, name string, output outputFlag) error {
	retained, err := listRetained(ctx, c)
	if err != nil {
		return err
	}
	all := &unstructured.UnstructuredList{}
	all.SetAPIVersion("v1")
	all.SetKind("List")
	var tables []table
	for _, v := range selected {
		list, err := listOf(ctx, c, v, name)
		if err != nil {
			return err
		}
		if err := collect(all, list, c.Scheme()); err != nil {
			return err
		}
		t, err := v.tableOf(list, retained)
		if err != nil {
			return err
		}
		if len(t.rows) > 0 {
			tables = append(tables, t)
		}
	}
	if output == "table" {
		writeTables(out, tables, c.namespace)
		return nil
	}
	return output.printObject(out, all)
}

// writeTables leaves out kinds of which there is nothing.
func writeTables(out io.Writer, tables []table, namespace string) {
	for i, t := range tables {
		if i > 0 {
			fmt.Fprintln(out)
		}
		t.write(out)
	}
	switch {
	case len(tables) > 0:
	case namespace == metav1.NamespaceAll:
		fmt.Fprintln(out, "There is nothing.")
	default:
		fmt.Fprintf(out, "There is nothing in namespace %s; -A looks in all.\n", namespace)
	}
}

func listOf(ctx context.Context, c *connection, v view, name string) (client.ObjectList, error) {
	list := v.list()
	options := []client.ListOption{client.InNamespace(c.namespace)}
	if name != "" {
		options = append(options, client.MatchingFields{"metadata.name": name})
	}
	if err := c.reader.List(ctx, list, options...); err != nil {
		return nil, fmt.Errorf("list %s: %w", v.names[0], err)
	}
	items, err := objectsOf(list)
	if err != nil {
		return nil, err
	}
	if name != "" && len(items) == 0 {
		return nil, fmt.Errorf("find %s in namespace %s: %w", name, c.namespace, apierrors.NewNotFound(v1alpha1.SchemeGroupVersion.WithResource(v.names[0]).GroupResource(), name))
	}
	return list, nil
}

func listRetained(ctx context.Context, c *connection) (map[string]bool, error) {
	environments := &v1alpha1.EnvironmentList{}
	if err := c.reader.List(ctx, environments); err != nil {
		return nil, fmt.Errorf("list Environments: %w", err)
	}
	return retainedUIDs(environments.Items), nil
}

// collect adds the items of a typed list, with their kinds, to one list of all.
func collect(all *unstructured.UnstructuredList, list client.ObjectList, scheme *runtime.Scheme) error {
	items, err := objectsOf(list)
	if err != nil {
		return err
	}
	for _, item := range items {
		gvk, err := apiutil.GVKForObject(item, scheme)
		if err != nil {
			return fmt.Errorf("find the kind of %s: %w", item.GetName(), err)
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(item)
		if err != nil {
			return fmt.Errorf("convert %s: %w", item.GetName(), err)
		}
		u := unstructured.Unstructured{Object: content}
		u.SetGroupVersionKind(gvk)
		u.SetManagedFields(nil)
		all.Items = append(all.Items, u)
	}
	return nil
}
