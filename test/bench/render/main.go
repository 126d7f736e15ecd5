// Command render measures how fast sources become objects, beside plain kustomize, in one run on one machine. It prints a
// table and, with -json FILE (or - for the standard output), the same as JSON.
//
// Each source is an overlay with a prefix, a namespace and a patch over pairs of a VirtualMachine and a VirtualDisk. CPU
// is what the process used for one render. All that is measured for a source takes turns, and a ratio is the median of
// those of the turns: what else the machine does then slows both sides down.
//
// kustomize neither knows lines nor checks objects. The time to know where each object stands is in all figures of
// Slipway. That to put in variables and to check the objects against their definitions is in "slipway, checked" only.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"text/tabwriter"
)

// figure is one measurement. Times are in milliseconds for one render.
type figure struct {
	Name   string  `json:"name"`
	Pairs  int     `json:"pairs"`
	CPU    float64 `json:"cpuMilliseconds"`
	Wall   float64 `json:"wallMilliseconds"`
	Waited float64 `json:"waitedMilliseconds"` // for locks: what keeps two renders from running at the same time
	Ratio  float64 `json:"ratio,omitempty"`
	To     string  `json:"ratioTo,omitempty"`
	Target string  `json:"target,omitempty"`
}

func main() {
	file := flag.String("json", "", "also write the figures as JSON to this file; - is the standard output")
	rounds := flag.Int("rounds", 7, "turns to take the median of")
	whole := flag.Bool("whole", true, "also let kustomize render 500 pairs, which takes long")
	flag.Parse()
	figures, err := measure(context.Background(), *rounds, *whole)
	if err == nil {
		err = write(figures, *file)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-render:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, rounds int, whole bool) ([]figure, error) {
	var figures []figure
	for _, n := range []int{1, 10, 30, 100, 500} {
		list, err := contestants(ctx, n, whole)
		if err != nil {
			return nil, err
		}
		if n >= 500 {
			rounds = min(rounds, 3)
		}
		group, err := contest(list, n, rounds)
		if err != nil {
			return nil, err
		}
		figures = append(figures, group...)
	}
	return figures, nil
}

func write(figures []figure, file string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PAIRS\tRENDER\tCPU ms\tWALL ms\tWAITED ms\tRATIO\tTARGET")
	for _, f := range figures {
		ratio := ""
		if f.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f of %s", f.Ratio, f.To)
		}
		fmt.Fprintf(w, "%d\t%s\t%.4g\t%.4g\t%.4g\t%s\t%s\n", f.Pairs, f.Name, f.CPU, f.Wall, f.Waited, ratio, f.Target)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	if file == "" {
		return nil
	}
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if file == "-" {
		fmt.Println(string(text))
		return nil
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}
