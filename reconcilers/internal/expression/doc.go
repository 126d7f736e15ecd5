// Package expression decides with expressions in CEL that tenants write.
//
// In come the text of an expression and the values of its variables; out comes
// yes or no. What it never does: read anything but those values, or use more time
// and memory than a bound that no expression can raise.
package expression
