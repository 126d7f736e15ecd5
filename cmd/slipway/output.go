package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

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

// gap between two columns.
const gap = 2

// fit lays the table out within a width. Columns that do not fit go below their
// row, where it has something to say in them.
func (t table) fit(width int) []string {
	widths := t.widths()
	columns, used := 0, 0
	for columns < len(widths) && used+widths[columns] <= width {
		used += widths[columns] + gap
		columns++
	}
	columns = max(columns, 1)
	lines := []string{cut(align(t.header[:columns], widths), width)}
	for _, row := range t.rows {
		lines = append(lines, cut(align(row[:columns], widths), width))
		for i := columns; i < len(row); i++ {
			if row[i] != "" {
				lines = append(lines, wrapBelow(strings.ToLower(t.header[i])+": "+row[i], width)...)
			}
		}
	}
	return lines
}

func (t table) widths() []int {
	widths := make([]int, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

func align(row []string, widths []int) string {
	var line strings.Builder
	for i, cell := range row {
		line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+gap))
	}
	return strings.TrimRight(line.String(), " ")
}

// wrapBelow breaks a text at spaces into lines that stand indented below a row.
func wrapBelow(text string, width int) []string {
	const indent = "    "
	var lines []string
	line := indent
	for _, word := range strings.Fields(text) {
		if line != indent && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines, line = append(lines, cut(line, width)), indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	return append(lines, cut(line, width))
}
