package kubevirt

import (
	"errors"
	"fmt"
)

// Kinds of a FieldError, for errors.Is.
var (
	// ErrUnsupported marks a valid field that this version cannot do.
	ErrUnsupported = errors.New("not supported by this version")
	// ErrInvalid marks a value that no version accepts.
	ErrInvalid = errors.New("invalid value")
)

// FieldError says which field of a virtual machine or class stands in the way
// and what to do about it.
type FieldError struct {
	// Field is the path, such as spec.networks[1].
	Field string
	// Problem is what is wrong with it, without a full stop.
	Problem string
	// Remedy is what the user can do.
	Remedy string
	// Kind is ErrUnsupported or ErrInvalid.
	Kind error
}

// Error tells the field, the problem and the remedy in one line.
func (e *FieldError) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.Field, e.Problem, e.Remedy)
}

// Unwrap gives the kind, so that errors.Is finds it.
func (e *FieldError) Unwrap() error { return e.Kind }

func unsupported(field, problem, remedy string) error {
	return &FieldError{Field: field, Problem: problem + " " + ErrUnsupported.Error(), Remedy: remedy, Kind: ErrUnsupported}
}

func invalid(field, problem, remedy string) error {
	return &FieldError{Field: field, Problem: problem, Remedy: remedy, Kind: ErrInvalid}
}
