package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"text/tabwriter"
	"time"
)

// figure is one measurement.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Target that the value is held against, empty when there is none.
	Target string `json:"target,omitempty"`
	// Met says whether it is.
	Met *bool `json:"met,omitempty"`
	// How it was measured, where the name does not say it all.
	How string `json:"how,omitempty"`
}

// atMost is a figure with an upper bound.
func atMost(name string, value float64, unit string, bound float64, how string) figure {
	met := value <= bound
	return figure{Name: name, Value: value, Unit: unit, Target: fmt.Sprintf("≤ %g", bound), Met: &met, How: how}
}

// options scale the work.
type options struct {
	dir                   string
	files, megabytes      int
	rounds, polls, checks int
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == childFlag {
		exit(child(context.Background(), os.Args[2], os.Stdout))
		return
	}
	var o options
	file := flag.String("json", "", "also write the figures as JSON to this file; - prints them")
	flag.StringVar(&o.dir, "dir", "", "directory for what is generated; it is made in the system's temporary one when empty")
	flag.IntVar(&o.files, "files", 20_000, "files in the repository")
	flag.IntVar(&o.megabytes, "size", 1024, "MiB in the repository")
	flag.IntVar(&o.rounds, "rounds", 5, "clones to take the median of")
	flag.IntVar(&o.polls, "polls", 1000, "sources to poll with nothing new")
	flag.IntVar(&o.checks, "checks", 200, "signatures to verify")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *file, o)
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-source:", err)
		os.Exit(1)
	}
}

// groups are what is measured, in order.
var groups = []func(context.Context, options) ([]figure, error){gitFigures, verifyFigures}

func run(ctx context.Context, file string, o options) error {
	dir, err := os.MkdirTemp(o.dir, "slipway-bench-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	o.dir = dir
	var figures []figure
	for _, measure := range groups {
		got, err := measure(ctx, o)
		if err != nil {
			return err
		}
		figures = append(figures, got...)
	}
	if err := table(os.Stdout, figures); err != nil {
		return err
	}
	return write(file, figures)
}

func table(w io.Writer, figures []figure) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "FIGURE\tVALUE\tUNIT\tTARGET\tMET\tHOW")
	for _, f := range figures {
		met := ""
		if f.Met != nil {
			met = map[bool]string{true: "yes", false: "NO"}[*f.Met]
		}
		fmt.Fprintf(t, "%s\t%.3g\t%s\t%s\t%s\t%s\n", f.Name, f.Value, f.Unit, f.Target, met, f.How)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print figures: %w", err)
	}
	return nil
}

func write(file string, figures []figure) error {
	if file == "" {
		return nil
	}
	b, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if file == "-" {
		fmt.Println(string(b))
		return nil
	}
	if err := os.WriteFile(file, append(b, '\n'), 0o644); err != nil { //nolint:gosec // figures are for everybody
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

func median[T float64 | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
