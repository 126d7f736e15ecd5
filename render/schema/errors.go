package schema

import (
	"fmt"
	"strings"
)

// Error is one fault of one object.
type Error struct {
	// File is the path in the source tree, and Line the line in it, where they are known.
	File string
	Line int
	// Object is the kind and name, Field the path of the field in it.
	Object, Field string
	// Problem says what is wrong.
	Problem string
}

// Error implements error: "file:line: object: field: problem".
func (e Error) Error() string {
	text := fmt.Sprintf("%s: %s", e.Object, e.Problem)
	if e.Field != "" {
		text = fmt.Sprintf("%s: %s: %s", e.Object, e.Field, e.Problem)
	}
	switch {
	case e.File == "":
		return text
	case e.Line == 0:
		return e.File + ": " + text
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, text)
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
