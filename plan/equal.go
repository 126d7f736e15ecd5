package plan

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

func cutField(entry string) (string, bool) { return strings.CutPrefix(entry, "f:") }

// equalScalar compares two values of JSON; the types of numbers do not matter.
func equalScalar(a, b any) bool {
	x, xok := number(a)
	y, yok := number(b)
	if xok && yok {
		return x == y
	}
	return reflect.DeepEqual(a, b)
}

func number(value any) (float64, bool) {
	switch v := value.(type) {
	case int:
		return float64(v), true
	case int32:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	default:
		return 0, false
	}
}

// equalMeaning compares two scalars as Kubernetes reads them: 2 and "2" of an
// int-or-string, 1Gi and 1024Mi of a quantity. Two plain strings of digits are
// compared as strings: "010" is not "10".
func equalMeaning(a, b any) bool {
	if equalScalar(a, b) {
		return true
	}
	x, xPlain, xok := quantity(a)
	y, yPlain, yok := quantity(b)
	if !xok || !yok || (xPlain && yPlain) {
		return false
	}
	return x.Cmp(y) == 0
}

// quantity reads a value as a quantity, and tells whether it is a string of
// nothing but digits.
func quantity(value any) (parsed resource.Quantity, plain, ok bool) {
	text, isString := value.(string)
	if !isString {
		if _, isNumber := number(value); !isNumber {
			return parsed, false, false
		}
		text = fmt.Sprint(value)
	}
	if isString {
		_, err := strconv.ParseInt(text, 10, 64)
		plain = err == nil
	}
	parsed, err := resource.ParseQuantity(text)
	return parsed, plain, err == nil
}
