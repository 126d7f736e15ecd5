package plan_test

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
)

var owner = types.NamespacedName{Namespace: "team", Name: "prod"}

// object parses YAML.
func object(tb testing.TB, text string) *unstructured.Unstructured {
	tb.Helper()
	content := map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &content); err != nil {
		tb.Fatalf("parse %s: %v", text, err)
	}
	return &unstructured.Unstructured{Object: content}
}

// desired is an object as it is rendered for the owner.
func desired(tb testing.TB, text string) *unstructured.Unstructured {
	tb.Helper()
	u := object(tb, text)
	plan.Own(u, owner)
	plan.Normalize(u)
	plan.Stamp(u)
	return u
}

// live is an object as the API server has it after the owner applied it: with a
// UID, with defaults on top and with the fields that were applied.
func live(tb testing.TB, text, defaults string) *unstructured.Unstructured {
	tb.Helper()
	u := desired(tb, text)
	fields := fieldsOf(u.Object, "")
	if defaults != "" {
		overlay(u.Object, object(tb, defaults).Object)
	}
	if u.GetUID() == "" {
		u.SetUID(types.UID("uid-" + strings.ToLower(u.GetKind()) + "-" + u.GetName()))
	}
	u.SetResourceVersion("7")
	u.SetManagedFields([]metav1.ManagedFieldsEntry{{
		Manager: v1alpha1.FieldManager, Operation: metav1.ManagedFieldsOperationApply,
		FieldsV1: metav1.NewFieldsV1(fields),
	}})
	plan.Redact(u)
	return u
}

// fieldsOf writes managed fields for maps; lists are owned as a whole.
func fieldsOf(value any, skip string) string {
	fields, ok := value.(map[string]any)
	if !ok {
		return "{}"
	}
	var parts []string
	for name, child := range fields {
		if name == "apiVersion" || name == "kind" || name == skip {
			continue
		}
		parts = append(parts, `"f:`+name+`":`+fieldsOf(child, "name"))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func overlay(into, from map[string]any) {
	for name, value := range from {
		child, isMap := value.(map[string]any)
		under, wasMap := into[name].(map[string]any)
		if isMap && wasMap {
			overlay(under, child)
			continue
		}
		into[name] = value
	}
}

func entry(u *unstructured.Unstructured) v1alpha1.InventoryEntry {
	return v1alpha1.InventoryEntry{ObjectReference: plan.ReferenceOf(u), UID: u.GetUID()}
}

func dump(tb testing.TB, value any) string {
	tb.Helper()
	content, err := json.Marshal(value)
	if err != nil {
		tb.Fatal(err)
	}
	return string(content)
}
