package plan

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

var marks = map[Verdict]string{
	Create: "+", Live: "~", Restart: "!", Replace: "±", Destroy: "-", Retain: "=",
}

// Text writes a plan for people: one line per object that changes, and one per
// field below it.
func Text(w io.Writer, p Plan) error {
	var b strings.Builder
	for _, c := range p.Changes {
		if c.Verdict != None {
			writeChange(&b, c)
		}
	}
	for _, problem := range p.Problems {
		fmt.Fprintf(&b, "  ✗ %s: %s\n", problem.Reason, problem.Message)
	}
	fmt.Fprintln(&b, Headline(p))
	_, err := io.WriteString(w, b.String())
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return nil
}

func writeChange(b *strings.Builder, c Change) {
	fmt.Fprintf(b, "  %s %-8s %s%s\n", marks[c.Verdict], c.Verdict, c.Key(), note(c))
	if c.Verdict == Create {
		return
	}
	for _, f := range c.Fields {
		fmt.Fprintf(b, "      %s: %s\n", f.Path, values(f))
	}
}

func note(c Change) string {
	var notes []string
	if c.Reason != "" {
		notes = append(notes, c.Reason)
	}
	if c.Message != "" {
		notes = append(notes, c.Message)
	}
	if c.NeedsApproval {
		notes = append(notes, "needs uid "+string(c.UID)+" in spec.prune.approved")
	}
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, "; ") + ")"
}

func values(f FieldChange) string {
	switch {
	case f.Hidden:
		return "changed (not shown)"
	case f.From == nil:
		return "added " + brief(f.To)
	case f.To == nil:
		return "removed " + brief(f.From)
	default:
		return brief(f.From) + " → " + brief(f.To)
	}
}

const briefLength = 60

// brief is a value on one short line.
func brief(value any) string {
	text, ok := value.(string)
	if !ok {
		content, err := json.Marshal(value)
		if err != nil {
			return fmt.Sprint(value)
		}
		text = string(content)
	}
	text = strings.ReplaceAll(text, "\n", "⏎")
	if runes := []rune(text); len(runes) > briefLength {
		return string(runes[:briefLength]) + "…"
	}
	return text
}

// Headline is the plan in one line: `1 to create, 1 to restart, 3 unchanged`.
func Headline(p Plan) string {
	s := p.Summary
	counts := []struct {
		n    int32
		text string
	}{
		{s.Create, "to create"},
		{s.Live, "to change"},
		{s.Restart, "to change at a restart"},
		{s.Replace, "to replace"},
		{s.Destroy, "to destroy"},
		{s.Retain, "to retain"},
		{s.None, "unchanged"},
		{int32(len(p.Problems)), "refused"},
	}
	var parts []string
	for _, c := range counts {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.text))
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}
