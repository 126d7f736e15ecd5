package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
	toolscache "k8s.io/client-go/tools/cache"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/platform"
)

const (
	// redrawAfter gathers changes that come together into one drawing.
	redrawAfter = 200 * time.Millisecond
	// serialLines is how much of a guest's serial line is shown.
	serialLines = 8
)

// liveViews are the kinds of the live table.
var liveViews = []string{"environments", "images", "disks", "vms"}

// watchLive shows Environments, images, disks and machines as they change, the
// serial lines of running guests and when they answer SSH, until the context
// ends.
func watchLive(ctx context.Context, out io.Writer, p *platform.Platform) error {
	c := &connection{WithWatch: p.Client(), reader: p.Cache(), namespace: p.Ready().Namespace}
	changed, err := notifyAll(ctx, p.Cache())
	if err != nil {
		return err
	}
	guests, s := newGuests(c), newScreen(out)
	tick := time.NewTicker(redrawAfter)
	defer tick.Stop()
	dirty := true
	for {
		select {
		case <-changed:
			dirty = true
		case <-tick.C:
			if err := redraw(ctx, c, s, guests, dirty); err != nil && ctx.Err() == nil {
				return err
			}
			dirty = false
		case <-ctx.Done():
			return nil
		case err := <-p.Failed():
			return err
		}
	}
}

// notifyAll gives a token when an object of a kind that is shown has changed.
func notifyAll(ctx context.Context, informers cache.Informers) (<-chan struct{}, error) {
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { notify() },
		UpdateFunc: func(before, after any) {
			if before.(client.Object).GetResourceVersion() != after.(client.Object).GetResourceVersion() {
				notify()
			}
		},
		DeleteFunc: func(any) { notify() },
	}
	kinds := []client.Object{&virtv1.VirtualMachineInstance{}}
	for _, name := range liveViews {
		v, err := findView(name)
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, v.kind())
	}
	for _, kind := range kinds {
		informer, err := informers.GetInformer(ctx, kind)
		if err != nil {
			return nil, fmt.Errorf("follow %T: %w", kind, err)
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, fmt.Errorf("follow %T: %w", kind, err)
		}
	}
	return changed, nil
}

// redraw reads the tables again when something has changed, and what guests have
// written in any case.
func redraw(ctx context.Context, c *connection, s *screen, guests *guests, dirty bool) error {
	if !dirty {
		if lines := guests.lines(); len(lines) > 0 {
			s.draw(s.tables, lines)
		}
		return nil
	}
	tables, err := liveTables(ctx, c)
	if err != nil {
		return err
	}
	if err := guests.update(ctx); err != nil {
		return err
	}
	s.draw(tables, guests.lines())
	return nil
}

func liveTables(ctx context.Context, c *connection) ([]table, error) {
	retained, err := listRetained(ctx, c)
	if err != nil {
		return nil, err
	}
	var tables []table
	for _, name := range liveViews {
		v, err := findView(name)
		if err != nil {
			return nil, err
		}
		list, err := listOf(ctx, c, v, "")
		if err != nil {
			return nil, err
		}
		t, err := v.tableOf(list, retained)
		if err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	return tables, nil
}

// printable keeps a guest from driving the user's terminal.
func printable(line string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, line))
}

// screen draws tables and the last serial lines; on a terminal in place, else as
// lines, each row only when it has changed.
type screen struct {
	out      io.Writer
	terminal bool
	width    int
	drawn    int
	tables   []table
	serial   []string
	rows     map[string]string
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, rows: map[string]string{}}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		s.terminal = true
		s.width, _, _ = term.GetSize(int(file.Fd()))
	}
	return s
}

func (s *screen) draw(tables []table, serial []string) {
	s.tables = tables
	if !s.terminal {
		s.drawLines(tables, serial)
		return
	}
	s.serial = append(s.serial, serial...)
	s.serial = s.serial[max(0, len(s.serial)-serialLines):]
	var block strings.Builder
	for _, t := range tables {
		t.write(&block)
		block.WriteByte('\n')
	}
	for _, line := range s.serial {
		block.WriteString(line + "\n")
	}
	lines := strings.Split(block.String(), "\n")
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.drawn)
	}
	for _, line := range lines[:len(lines)-1] {
		fmt.Fprintln(s.out, s.cut(line))
	}
	s.drawn = len(lines) - 1
}

func (s *screen) cut(line string) string {
	runes := []rune(line)
	if s.width > 0 && len(runes) > s.width-1 {
		return string(runes[:s.width-1])
	}
	return line
}

func (s *screen) drawLines(tables []table, serial []string) {
	for _, t := range tables {
		for _, row := range t.rows {
			key, text := t.header[0]+"/"+row[0], describe(t.header, row)
			if s.rows[key] != text {
				s.rows[key] = text
				fmt.Fprintln(s.out, text)
			}
		}
	}
	for _, line := range serial {
		fmt.Fprintln(s.out, line)
	}
}

// describe writes a row as one line: what is empty is left out.
func describe(header, row []string) string {
	parts := []string{strings.ToLower(header[0]) + " " + row[0] + ":"}
	for i := 1; i < len(row); i++ {
		if row[i] != "" {
			parts = append(parts, strings.ToLower(header[i])+" "+row[i]+";")
		}
	}
	return strings.TrimSuffix(strings.Join(parts, " "), ";")
}
