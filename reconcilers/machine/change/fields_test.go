package change_test

import (
	"reflect"
	"strings"
)

// jsonFields lists the names of a struct's fields as they are on the wire.
func jsonFields[T any]() []string {
	var names []string
	t := reflect.TypeFor[T]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func topLevel(path string) string {
	name, _, _ := strings.Cut(path, ".")
	return name
}
