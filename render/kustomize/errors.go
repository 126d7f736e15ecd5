package kustomize

import (
	"fmt"
	"strings"
)

// Error is a fault in the source, told to whoever wrote it.
type Error struct {
	// File is the path in the source tree, and Line the line in it, where they are known.
	File string
	Line int
	// Object names what is meant, such as VirtualMachine/web, where there is one.
	Object string
	// Problem says what is wrong, Remedy what to do about it.
	Problem, Remedy string
}

// Error implements error: "file:line: object: problem; remedy".
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Line)
		}
		b.WriteString(": ")
	}
	if e.Object != "" {
		b.WriteString(e.Object + ": ")
	}
	b.WriteString(e.Problem)
	if e.Remedy != "" {
		b.WriteString("; " + e.Remedy)
	}
	return b.String()
}
