package flowtest

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// TypeConverter lets a fake client apply and patch KubeVirt's kinds: it deduces
// an object's fields from how it looks on the wire, since the deduction that it
// builds on does not know all of KubeVirt's Go types.
func TypeConverter() managedfields.TypeConverter {
	return byJSON{managedfields.NewDeducedTypeConverter()}
}

type byJSON struct{ managedfields.TypeConverter }

func (c byJSON) ObjectToTyped(object runtime.Object, options ...typed.ValidationOptions) (*typed.TypedValue, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("write %T: %w", object, err)
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(text, u); err != nil {
		return nil, fmt.Errorf("read %T: %w", object, err)
	}
	value, err := c.TypeConverter.ObjectToTyped(u, options...)
	if err != nil {
		return nil, fmt.Errorf("deduce the fields of %T: %w", object, err)
	}
	return value, nil
}
