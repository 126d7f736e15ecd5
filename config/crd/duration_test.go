package crd_test

import (
	"io/fs"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/config/crd"
)

// CVE-2022-39272 of Flux: one object with a duration that does not parse kept the
// controllers from listing all others. Each duration has a pattern that refuses it.
func TestCVE202239272DurationsHavePatterns(t *testing.T) {
	names, err := fs.Glob(crd.Files, "gitops.slipway.dev_*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range names {
		raw, err := fs.ReadFile(crd.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(raw, definition); err != nil {
			t.Fatal(err)
		}
		for _, v := range definition.Spec.Versions {
			found += walk(t, name, *v.Schema.OpenAPIV3Schema)
		}
	}
	if found < 6 {
		t.Errorf("%d durations were looked at, want more", found)
	}
}

// walk counts the durations below a schema, and fails for those without a pattern.
func walk(t *testing.T, path string, schema apiextensionsv1.JSONSchemaProps) int {
	t.Helper()
	found := 0
	for name, property := range schema.Properties {
		lower := strings.ToLower(name)
		if property.Type == "string" && (strings.HasSuffix(lower, "interval") || strings.HasSuffix(lower, "timeout") || lower == "duration") {
			found++
			if property.Pattern == "" {
				t.Errorf("%s.%s has no pattern", path, name)
			}
		}
		found += walk(t, path+"."+name, property)
	}
	if schema.Items != nil && schema.Items.Schema != nil {
		found += walk(t, path+"[]", *schema.Items.Schema)
	}
	return found
}
