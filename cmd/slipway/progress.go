package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progress draws steps as lines; on a terminal the line of the step under way
// shows its last detail and how long it has been.
type progress struct {
	out      io.Writer
	terminal bool
	now      func() time.Time
	step     string
	started  time.Time
}

func newProgress(out io.Writer) *progress {
	file, ok := out.(*os.File)
	return &progress{out: out, terminal: ok && term.IsTerminal(int(file.Fd())), now: time.Now}
}

// Step implements platform.Progress.
func (p *progress) Step(name string) {
	p.step, p.started = name, p.now()
	if p.terminal {
		fmt.Fprintf(p.out, "  …  %s", name)
	}
}

// Detail implements platform.Progress.
func (p *progress) Detail(line string) {
	if p.terminal {
		fmt.Fprintf(p.out, "\r\x1b[K  …  %s (%s) %s", p.step, p.elapsed(), line)
		return
	}
	fmt.Fprintf(p.out, "     %s\n", line)
}

// Done implements platform.Progress.
func (p *progress) Done(result string) {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
	if result != "" {
		result = ": " + result
	}
	fmt.Fprintf(p.out, "  ok %s%s (%s)\n", p.step, result, p.elapsed())
}

func (p *progress) elapsed() time.Duration {
	return p.now().Sub(p.started).Round(100 * time.Millisecond)
}
