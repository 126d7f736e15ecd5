// Command disk measures DVCR's way to keep disks beside others, in one run and on the same images: bytes stored, bytes moved,
// and time for a first import, for the import of two later versions, for a full restore, and for a restore of what changed.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == childFlag {
		exit(runChild(context.Background(), os.Args[2:]))
		return
	}
	var o options
	flag.StringVar(&o.dir, "dir", "", "work there and keep it (default: a temporary directory)")
	flag.StringVar(&o.json, "json", "", "also write the figures to this file")
	flag.StringVar(&o.packages, "packages", "systemd-sysv,openssh-server,python3,perl,vim", "Debian packages of the root file system")
	flag.StringVar(&o.large, "large", "64G", "virtual size of the large image; empty leaves it out")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	exit(run(ctx, o))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}

type options struct{ dir, json, packages, large string }

// result is what one way to keep disks costs.
type result struct {
	Way string `json:"way"`
	// Stored bytes after each version, Moved bytes by each import, and how long it took.
	Stored  [3]int64   `json:"stored"`
	Moved   [3]int64   `json:"moved"`
	Import  [3]float64 `json:"importSeconds"`
	Restore float64    `json:"restoreSeconds"`
	Delta   float64    `json:"deltaRestoreSeconds,omitempty"`
	DeltaBy int64      `json:"deltaRestoreMoved,omitempty"`
	Note    string     `json:"note,omitempty"`
}

// figure is a target of the format, and what was measured.
type figure struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Target string  `json:"target,omitempty"`
}

type report struct {
	Images  imageSet `json:"images"`
	Results []result `json:"results"`
	Figures []figure `json:"figures"`
}

func run(ctx context.Context, o options) error {
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "slipway-bench-disk")
		if err != nil {
			return fmt.Errorf("make a directory: %w", err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		o.dir = dir
	}
	images, err := makeImages(ctx, o)
	if err != nil {
		return err
	}
	all := report{Images: images}
	for _, way := range ways {
		say("measuring %s", way.name)
		dir := filepath.Join(o.dir, strings.ReplaceAll(way.name, " ", "-"))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make %s: %w", dir, err)
		}
		r, err := way.measure(ctx, dir, images)
		if err != nil {
			return fmt.Errorf("measure %s: %w", way.name, err)
		}
		r.Way = way.name
		say("%+v", r)
		all.Results = append(all.Results, r)
		if way.name != ours {
			if err := os.RemoveAll(dir); err != nil {
				return fmt.Errorf("clean up: %w", err)
			}
		}
	}
	if all.Figures, err = figures(ctx, o, images, all.Results); err != nil {
		return err
	}
	return all.write(o.json)
}

func (r report) write(path string) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "way\tstored v1\tv2 adds\tv3 adds\tmoved v1\tv2\tv3\timport v1\tv2\tv3\trestore\tdelta\tdelta moves\t")
	for _, x := range r.Results {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", x.Way,
			mib(x.Stored[0]), mib(x.Stored[1]-x.Stored[0]), mib(x.Stored[2]-x.Stored[1]), mib(x.Moved[0]), mib(x.Moved[1]), mib(x.Moved[2]),
			seconds(x.Import[0]), seconds(x.Import[1]), seconds(x.Import[2]), seconds(x.Restore), seconds(x.Delta), mib(x.DeltaBy))
	}
	_ = w.Flush()
	fmt.Println()
	w = tabwriter.NewWriter(os.Stdout, 0, 0, 3, ' ', 0)
	for _, f := range r.Figures {
		fmt.Fprintf(w, "%s\t%.2f %s\t%s\n", f.Name, f.Value, f.Unit, f.Target)
	}
	_ = w.Flush()
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	fmt.Printf("\n%s\n", text)
	if path == "" {
		return nil
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

func mib(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
}

func seconds(s float64) string {
	if s == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f s", s)
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench-disk: "+format+"\n", args...) }

func timed(do func() error) (float64, error) {
	started := time.Now()
	err := do()
	return time.Since(started).Seconds(), err
}
