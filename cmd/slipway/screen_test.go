package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var machines = table{
	header: []string{"MACHINE", "PHASE", "CORES", "MEMORY", "ADDRESS", "AWAITS RESTART", "MESSAGE"},
	rows: [][]string{
		{"web", "Running", "1", "256Mi", "10.66.10.1", "cpu.cores 1→2", "needs a restart for its changes to take effect: restart the machine to apply the changes"},
		{"db", "Running", "4", "8Gi", "10.66.10.2", "", ""},
	},
}

func TestFit(t *testing.T) {
	for name, tc := range map[string]struct {
		width int
		want  string
	}{
		"everything": {width: 200, want: `
MACHINE  PHASE    CORES  MEMORY  ADDRESS     AWAITS RESTART  MESSAGE
web      Running  1      256Mi   10.66.10.1  cpu.cores 1→2   needs a restart for its changes to take effect: restart the machine to apply the changes
db       Running  4      8Gi     10.66.10.2`},
		"80 columns": {width: 79, want: `
MACHINE  PHASE    CORES  MEMORY  ADDRESS     AWAITS RESTART
web      Running  1      256Mi   10.66.10.1  cpu.cores 1→2
    message: needs a restart for its changes to take effect: restart the
    machine to apply the changes
db       Running  4      8Gi     10.66.10.2`},
		"very narrow": {width: 30, want: `
MACHINE  PHASE    CORES
web      Running  1
    memory: 256Mi
    address: 10.66.10.1
    awaits restart: cpu.cores
    1→2
    message: needs a restart
    for its changes to take
    effect: restart the
    machine to apply the
    changes
db       Running  4
    memory: 8Gi
    address: 10.66.10.2`},
	} {
		t.Run(name, func(t *testing.T) {
			lines := machines.fit(tc.width)
			if diff := cmp.Diff(strings.TrimPrefix(tc.want, "\n"), strings.Join(lines, "\n")); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > tc.width {
					t.Errorf("%q is wider than %d", line, tc.width)
				}
			}
		})
	}
}

// TestScreenStaysInTheTerminal: what is drawn can be drawn over, and the newest serial lines are seen.
func TestScreenStaysInTheTerminal(t *testing.T) {
	many := table{header: []string{"DISK", "PHASE"}}
	for i := range 100 {
		many.rows = append(many.rows, []string{fmt.Sprint("disk-", i), "Ready"})
	}
	serial := []string{"one", strings.Repeat("long ", 50), "three"}
	for name, tc := range map[string]struct {
		tables []table
		height int
		last   string
		want   int
	}{
		"all of it":         {tables: []table{machines}, height: 24, last: "three", want: 9},
		"room for one line": {tables: []table{machines}, height: 8, last: "three", want: 7},
		"too many rows":     {tables: []table{many}, height: 24, last: "… 80 more lines; `slipway get` shows all", want: 23},
		"nothing there yet": {tables: []table{{header: []string{"DISK"}}}, height: 24, last: "three", want: 3},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			s := &screen{out: &out, size: func() (int, int) { return 80, tc.height }}
			s.draw(tc.tables, serial)
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if len(lines) != tc.want || lines[len(lines)-1] != tc.last {
				t.Errorf("%d lines, the last %q; want %d and %q:\n%s", len(lines), lines[len(lines)-1], tc.want, tc.last, out.String())
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > 79 {
					t.Errorf("%q does not fit", line)
				}
			}
			out.Reset()
			s.draw(tc.tables, nil)
			if want := fmt.Sprintf("\x1b[%dA\x1b[J", tc.want); !strings.HasPrefix(out.String(), want) {
				t.Errorf("the second drawing begins with %q, want %q", out.String()[:8], want)
			}
		})
	}
}
