// Command bench measures Slipway as its users meet it, beside the tools they
// would use otherwise, in one run on one machine. It prints a table and, with
// -json FILE, the same as JSON. Times on shared machines are noisy; the ratios
// are what counts.
//
// It needs SLIPWAY_BIN and SLIPWAY_SAMPLE_IMAGE, which `make bench` sets.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
)

// figure is one measurement.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target,omitempty"`
	// How it was measured, where the name does not say it all.
	How string `json:"how,omitempty"`
}

// Groups of figures.
const (
	groupDisks  = "disks"
	groupPush   = "push"
	groupNoop   = "noop"
	groupMemory = "memory"
)

// options say what to measure, and how often.
type options struct {
	// only names the groups to measure; empty means all.
	only []string
	// attach is the data directory of a platform that runs; empty starts one.
	attach string
	// pushes to take the median of.
	pushes int
	// rounds of unchanged reconciles, and how many are in each.
	rounds, noops int
	// megabytes of data in the image of the disk figures.
	megabytes int
}

func (o options) wants(group string) bool { return len(o.only) == 0 || slices.Contains(o.only, group) }

func main() {
	var o options
	file := flag.String("json", "", "also write the figures as JSON to this file")
	only := flag.String("only", "", "measure only these groups: disks, push, noop, memory, with commas between")
	flag.StringVar(&o.attach, "attach", "", "measure the platform that runs with this data directory instead of starting one")
	flag.IntVar(&o.pushes, "pushes", 15, "pushes to take the median of")
	flag.IntVar(&o.rounds, "rounds", 5, "rounds of unchanged reconciles to take the median of")
	flag.IntVar(&o.noops, "noops", 200, "unchanged reconciles in a round")
	flag.IntVar(&o.megabytes, "image", 512, "MiB of data in the image for the disk figures")
	flag.Parse()
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *file, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, file string, o options) error {
	dir, err := os.MkdirTemp("", "slipway-bench-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var figures []figure
	if o.wants(groupDisks) {
		disks, err := measureDisks(ctx, dir, o.megabytes)
		if err != nil {
			return fmt.Errorf("measure disks: %w", err)
		}
		figures = append(figures, disks...)
	}
	if slices.ContainsFunc([]string{groupPush, groupNoop, groupMemory}, o.wants) {
		platform, err := measurePlatform(ctx, dir, o)
		if err != nil {
			return fmt.Errorf("measure the platform: %w", err)
		}
		figures = append(figures, platform...)
	}
	write(os.Stdout, figures)
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(figures, "", "  ")
	return errors.Join(err, os.WriteFile(file, append(text, '\n'), 0o644))
}

func write(out io.Writer, figures []figure) {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "FIGURE\tVALUE\tUNIT\tTARGET")
	for _, f := range figures {
		fmt.Fprintf(w, "%s\t%.2f\t%s\t%s\n", f.Name, f.Value, f.Unit, f.Target)
	}
	_ = w.Flush()
	for _, f := range figures {
		if f.How != "" {
			fmt.Fprintf(out, "\n%s: %s.", f.Name, f.How)
		}
	}
	fmt.Fprintln(out)
}
