package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// serialLines is how much of the guests' serial lines is shown.
const serialLines = 8

// screen draws tables and the last serial lines; on a terminal in place, else as
// lines, each row only when it has changed.
type screen struct {
	out io.Writer
	// size of the terminal in columns and lines; nil when out is none.
	size   func() (width, height int)
	drawn  int
	tables []table
	serial []string
	rows   map[string]string
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out, rows: map[string]string{}}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		s.size = func() (int, int) {
			width, height, err := term.GetSize(int(file.Fd()))
			if err != nil || width == 0 {
				return 80, 24
			}
			return width, height
		}
	}
	return s
}

func (s *screen) draw(tables []table, serial []string) {
	s.tables = tables
	if s.size == nil {
		s.drawLines(tables, serial)
		return
	}
	s.serial = append(s.serial, serial...)
	s.serial = s.serial[max(0, len(s.serial)-serialLines):]
	lines := s.block()
	if s.drawn > 0 {
		fmt.Fprintf(s.out, "\x1b[%dA\x1b[J", s.drawn)
	}
	for _, line := range lines {
		fmt.Fprintln(s.out, line)
	}
	s.drawn = len(lines)
}

// block is what is to be seen: never wider or higher than the terminal, because
// what scrolls away cannot be drawn over.
func (s *screen) block() []string {
	width, height := s.size()
	var lines []string
	for _, t := range s.tables {
		if len(t.rows) > 0 {
			lines = append(append(lines, t.fit(width-1)...), "")
		}
	}
	serial := s.serial[max(0, len(s.serial)-max(0, height-1-len(lines))):]
	for _, line := range serial {
		lines = append(lines, cut(line, width-1))
	}
	if len(lines) > height-1 {
		rest := len(lines) - (height - 2)
		lines = append(lines[:max(0, height-2)], cut(fmt.Sprintf("… %d more lines; `slipway get` shows all", rest), width-1))
	}
	return lines
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

// printable keeps a guest from driving the user's terminal.
func printable(line string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, line))
}

func cut(line string, width int) string {
	runes := []rune(line)
	if len(runes) > width {
		return string(runes[:max(0, width)])
	}
	return line
}
