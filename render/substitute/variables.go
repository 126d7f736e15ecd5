package substitute

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Variable is a value and what may be shown of it.
type Variable struct {
	// Value is put in place of the variable. Line breaks at its end are left out: tools that make Secrets add them.
	Value string
	// Secret says that the value comes from a Secret and is never shown.
	Secret bool
}

// Variables by name. No variables at all (nil) means that nothing is substituted; an empty map means that every variable
// which a manifest uses is undeclared.
type Variables map[string]Variable

// namePattern is what a variable may be called.
var namePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// CheckName says what is wrong with the name of a variable.
func CheckName(name string) error {
	if !namePattern.MatchString(name) {
		return fmt.Errorf("%q cannot be the name of a variable; use letters, digits and underscores, not beginning with a digit", name)
	}
	return nil
}

// Digest names the variables and their values. It is the same for the same variables.
func (v Variables) Digest() string {
	if v == nil {
		return ""
	}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(v)) {
		fmt.Fprintf(sum, "%q %t %d\n%s", name, v[name].Secret, len(v[name].Value), v[name].Value)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// lookup returns a variable's value as it is put into a field.
func (v Variables) lookup(name string) (value string, secret, found bool) {
	variable, found := v[name]
	return strings.TrimRight(variable.Value, "\r\n"), variable.Secret, found
}
