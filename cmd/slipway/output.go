package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"
)

// outputFlag is -o json|yaml|table.
type outputFlag string

func (o *outputFlag) String() string { return string(*o) }
func (o *outputFlag) Type() string   { return "json|yaml|table" }

// Set implements pflag.Value.
func (o *outputFlag) Set(value string) error {
	switch value {
	case "json", "yaml", "table":
		*o = outputFlag(value)
		return nil
	}
	return fmt.Errorf("want json, yaml or table, got %q", value)
}

func (o *outputFlag) register(cmd *cobra.Command) {
	*o = "table"
	cmd.Flags().VarP(o, "output", "o", "how to print")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml", "table"}, cobra.ShellCompDirectiveNoFileComp))
}

// printObject writes an object as JSON or YAML.
func (o outputFlag) printObject(out io.Writer, obj runtime.Object) error {
	var printer printers.ResourcePrinter = &printers.YAMLPrinter{}
	if o == "json" {
		printer = &printers.JSONPrinter{}
	}
	if err := printer.PrintObj(obj, out); err != nil {
		return fmt.Errorf("print as %s: %w", o, err)
	}
	return nil
}

// table is what a list looks like to a person.
type table struct {
	header []string
	rows   [][]string
}

func (t table) write(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, strings.Join(t.header, "\t"))
	for _, row := range t.rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush()
}
