// Command render measures how fast sources become objects, beside plain kustomize, in one run on one machine. It prints a
// table and, with -json FILE (or - for the standard output), the same as JSON.
//
// Each source is an overlay with a prefix, a namespace and a patch over pairs of a VirtualMachine and a VirtualDisk. CPU
// is what the process used, the median of several runs; on a machine with other work it says more than the wall clock.
// Two renders that wait for no lock and use as much CPU each as one alone run twice as fast on two cores.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"syscall"
	"testing/fstest"
	"text/tabwriter"
	"time"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"slipway.dev/slipway/render"
	"slipway.dev/slipway/test/bench/render/pairs"
)

// figure is one measurement. Times are in milliseconds for one render.
type figure struct {
	Name   string  `json:"name"`
	Pairs  int     `json:"pairs"`
	CPU    float64 `json:"cpuMilliseconds"`
	Wall   float64 `json:"wallMilliseconds"`
	Waited float64 `json:"waitedMilliseconds"` // for locks: what keeps two renders from running at the same time
	Ratio  float64 `json:"ratio,omitempty"`    // to kustomize, CPU for one at a time, wall for two
	Target string  `json:"target,omitempty"`
}

func main() {
	file := flag.String("json", "", "also write the figures as JSON to this file; - is the standard output")
	rounds := flag.Int("rounds", 7, "runs to take the median of")
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

// job renders once.
type job func() error

func measure(ctx context.Context, rounds int, whole bool) ([]figure, error) {
	var figures []figure
	for _, n := range []int{1, 10, 100, 500} {
		group, err := measureSize(ctx, n, rounds, whole)
		if err != nil {
			return nil, err
		}
		figures = append(figures, group...)
	}
	return figures, nil
}

func measureSize(ctx context.Context, n, rounds int, whole bool) ([]figure, error) {
	files := pairs.Source(n)
	ours, peer, cached, err := jobs(ctx, files)
	if err != nil {
		return nil, err
	}
	if n >= 500 {
		rounds = 3
	}
	mine, err := one("slipway", n, rounds, ours)
	if err != nil {
		return nil, err
	}
	two, err := parallel("slipway, two at a time", n, rounds, ours)
	if err != nil {
		return nil, err
	}
	again, err := many("slipway, remembered", n, cached)
	if err != nil {
		return nil, err
	}
	again.Target = "≤ 0.1 ms"
	two.Ratio = two.Wall / mine.Wall
	two.Target = "near 0.5 of one at a time, with two cores"
	if n >= 500 {
		mine.Target = "< 2000 ms"
	}
	if n >= 500 && !whole {
		return []figure{mine, two, again}, nil
	}
	theirs, err := one("kustomize", n, rounds, peer)
	if err != nil {
		return nil, err
	}
	locked, err := parallel("kustomize behind one lock, two at a time", n, rounds, behind(&sync.Mutex{}, peer))
	if err != nil {
		return nil, err
	}
	locked.Ratio = locked.Wall / theirs.Wall
	mine.Ratio = mine.CPU / theirs.CPU
	if n < 500 {
		mine.Target = "≤ 1.2 of kustomize"
	}
	return []figure{theirs, mine, locked, two, again}, nil
}

// jobs are the renders to compare. Nothing is checked against schemas: kustomize does not do that either.
func jobs(ctx context.Context, files fstest.MapFS) (ours, peer, cached job, err error) {
	memory := filesys.MakeFsInMemory()
	for name, f := range files {
		if err := memory.WriteFile("/"+name, f.Data); err != nil {
			return nil, nil, nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	renderer := render.New(1, nil)
	with := func(digest string) job {
		return func() error {
			_, err := renderer.Render(ctx, render.Input{Files: files, Digest: digest})
			return err //nolint:wrapcheck // reported as it is
		}
	}
	peer = func() error {
		_, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, "/")
		return err //nolint:wrapcheck // reported as it is
	}
	return with(""), peer, with("sha256:1"), nil
}

// behind lets one render run at a time.
func behind(mu *sync.Mutex, j job) job {
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		return j()
	}
}

// one is the median of renders one after the other.
func one(name string, n, rounds int, j job) (figure, error) {
	return median(figure{Name: name, Pairs: n}, rounds, 1, j)
}

// parallel is the median of two renders at a time, for one of them.
func parallel(name string, n, rounds int, j job) (figure, error) {
	f := figure{Name: name, Pairs: n}
	return median(f, rounds, 2, func() error {
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() { errs[i] = j() })
		}
		wg.Wait()
		return first(errs)
	})
}

// first returns the first error.
func first(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func median(f figure, rounds, renders int, j job) (figure, error) {
	if err := j(); err != nil { // the first one loads what is loaded once
		return f, fmt.Errorf("%s, %d pairs: %w", f.Name, f.Pairs, err)
	}
	var cpus, walls, waits []float64
	for range rounds {
		runtime.GC()
		cpu, wait, start := used(), waited(), time.Now()
		if err := j(); err != nil {
			return f, fmt.Errorf("%s, %d pairs: %w", f.Name, f.Pairs, err)
		}
		walls = append(walls, milliseconds(time.Since(start))/float64(renders))
		cpus = append(cpus, milliseconds(used()-cpu)/float64(renders))
		waits = append(waits, milliseconds(waited()-wait)/float64(renders))
	}
	slices.Sort(cpus)
	slices.Sort(walls)
	slices.Sort(waits)
	f.CPU, f.Wall, f.Waited = cpus[len(cpus)/2], walls[len(walls)/2], waits[len(waits)/2]
	return f, nil
}

// many is the mean of a thousand renders, for those that take no time.
func many(name string, n int, j job) (figure, error) {
	f, err := median(figure{Name: name, Pairs: n}, 3, 1000, func() error {
		for range 1000 {
			if err := j(); err != nil {
				return err
			}
		}
		return nil
	})
	return f, err
}

// used is the CPU time of the process so far.
func used() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// waited is how long goroutines have waited for locks so far, all together.
func waited() time.Duration {
	sample := []metrics.Sample{{Name: "/sync/mutex/wait/total:seconds"}}
	metrics.Read(sample)
	return time.Duration(sample[0].Value.Float64() * float64(time.Second))
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func write(figures []figure, file string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PAIRS\tRENDER\tCPU ms\tWALL ms\tWAITED ms\tRATIO\tTARGET")
	for _, f := range figures {
		ratio := ""
		if f.Ratio > 0 {
			ratio = fmt.Sprintf("%.2f", f.Ratio)
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
