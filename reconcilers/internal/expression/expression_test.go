package expression_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"slipway.dev/slipway/reconcilers/internal/expression"
)

var object = map[string]any{
	"metadata": map[string]any{"name": "db", "generation": int64(2), "labels": map[string]any{"tier": "prod"}},
	"status": map[string]any{
		"observedGeneration": int64(2),
		"conditions":         []any{map[string]any{"type": "Ready", "status": "True"}},
	},
	"text": strings.Repeat("x", 1000),
	"items": func() (l []any) {
		for range 1000 {
			l = append(l, "x")
		}
		return l
	}(),
}

func TestHolds(t *testing.T) {
	tests := map[string]struct {
		text string
		want bool
		err  string
	}{
		"a condition":          {text: "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')", want: true},
		"generations":          {text: "metadata.generation == status.observedGeneration", want: true},
		"no":                   {text: "metadata.labels['tier'] == 'dev'"},
		"a field that is not":  {text: "has(status.phase) && status.phase == 'Ready'"},
		"optional":             {text: "status.?phase.orValue('Ready') == 'Ready'", want: true},
		"the last of a list":   {text: "'a/b'.split('/')[1] == 'b'", want: true},
		"replace":              {text: "'a.b.c'.replace('.', '-') == 'a-b-c' && 'aaa'.replace('a', 'b', 2) == 'bba' && 'aa'.replace('a', 'b', -1) == 'bb'", want: true},
		"join":                 {text: "['a', 'b'].join(',') == 'a,b' && ['a', 'b'].join() == 'ab'", want: true},
		"numbers of two kinds": {text: "metadata.generation < 2.5", want: true},
		"what is missing":      {text: "status.phase == 'Ready'", err: "no such key"},
		"an object missing":    {text: "spec.replicas == 1", err: "no such attribute"},
		"no truth":             {text: "metadata.name", err: "has to be true or false"},
		"doubling":             {text: "[text]" + strings.Repeat(".map(x, x + x)", 40) + "[0] == ''", err: "more than 1048576"},
		"doubling a list":      {text: "[items]" + strings.Repeat(".map(x, x + x)", 40) + "[0] == []", err: "more than 1048576"},
		"replacing":            {text: "text.replace('', text).replace('', text) == ''", err: "more than 1048576"},
		"joining":              {text: "items.map(x, text).join(text + text + text + text + text) == ''", err: "more than 1048576"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := expression.CompileOver(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := e.Holds(t.Context(), object)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Fatalf("error = %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil || got != tc.want {
				t.Errorf("= %v, %v; want %v", got, err, tc.want)
			}
		})
	}
}

// TestCVE_2024_32476: an expression of a tenant that never ends, or that grows without end, is stopped by a bound of its
// own and not by the end of memory.
func TestCVE_2024_32476(t *testing.T) {
	for name, text := range map[string]string{
		"loops in loops":       "items.all(a, items.all(b, items.all(c, a == b && b == c)))",
		"a text that doubles":  "[text]" + strings.Repeat(".map(x, x + x)", 60) + "[0] == ''",
		"texts in lists":       "[[text]]" + strings.Repeat(".map(x, x + x)", 60) + "[0].size() == 0",
		"a text in itself":     "text.replace('', text).replace('', text).replace('', text) == ''",
		"a text many times":    "items.map(a, items.map(b, text).join()).join() == ''",
		"searching everywhere": "items.all(a, items.all(b, text.matches('(x+x+)+y') || a == b))",
	} {
		t.Run(name, func(t *testing.T) {
			e, err := expression.CompileOver(text)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := e.Holds(t.Context(), object); err == nil {
				t.Errorf("= %v without an error", got)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := map[string]struct{ text, says string }{
		"nothing":             {"", "invalid"},
		"no expression":       {"a ==", "Syntax error"},
		"an unknown name":     {"des.status == 1", "undeclared reference to 'des'"},
		"a text":              {"'yes'", "yields string"},
		"an unknown function": {"dep.format('x')", "undeclared reference to 'format'"},
		"too long a text":     {"true" + strings.Repeat(" ", 5000), "more than 4096 bytes"},
		"too deep a text":     {strings.Repeat("(", 1000) + "true" + strings.Repeat(")", 1000), "invalid"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := expression.Compile(tc.text, "dep", "self")
			if !errors.Is(err, expression.ErrInvalid) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error = %v, want ErrInvalid with %q", err, tc.says)
			}
		})
	}
}

func ExampleCompile() {
	ready, err := expression.Compile("dep.status.phase == 'Ready'", "dep")
	if err != nil {
		panic(err)
	}
	fmt.Println(ready.Holds(context.Background(), map[string]any{"dep": map[string]any{"status": map[string]any{"phase": "Ready"}}}))
	// Output: true <nil>
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{"true", "status.conditions.exists(c, c.type == 'Ready')", "[text].map(x, x + x)", "text.replace('', text)", "type(text) == string", "items.join(text)"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := expression.CompileOver(text)
		if err != nil {
			return
		}
		_, _ = e.Holds(t.Context(), object)
	})
}
