package substitute

import (
	"fmt"
	"strings"
)

// Error is one variable that could not be put into one field.
type Error struct {
	// File is the path in the source tree, and Line the line in it, where they are known.
	File string
	Line int
	// Object is the kind and name, Field the path of the field in it.
	Object, Field string
	// Variable is the name of the variable, where it is known.
	Variable string
	// Problem says what is wrong, Remedy what to do about it. Neither holds a value.
	Problem, Remedy string
}

// Error implements error: "file:line: object: field: problem; remedy".
func (e Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%s: ", e.Object)
	if e.Field != "" {
		fmt.Fprintf(&b, "%s: ", e.Field)
	}
	b.WriteString(e.Problem)
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}

// Errors are all faults that were found, in the order of the objects.
type Errors []Error

// Error implements error: one fault per line.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}
