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
	"text/tabwriter"
)

// figure is one measurement.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target,omitempty"`
}

func main() {
	file := flag.String("json", "", "also write the figures as JSON to this file")
	pushes := flag.Int("pushes", 15, "pushes to take the median of")
	megabytes := flag.Int("image", 512, "MiB of data in the image for the disk figures")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *file, *pushes, *megabytes); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, file string, pushes, megabytes int) error {
	dir, err := os.MkdirTemp("", "slipway-bench-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	disks, err := measureDisks(ctx, dir, megabytes)
	if err != nil {
		return fmt.Errorf("measure disks: %w", err)
	}
	platform, err := measurePlatform(ctx, dir, pushes)
	if err != nil {
		return fmt.Errorf("measure the platform: %w", err)
	}
	figures := append(disks, platform...)
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
}
