package conformance

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/utils/ptr"
)

type (
	definitionPart = apiextensionsv1.CustomResourceDefinition
	versionPart    = apiextensionsv1.CustomResourceDefinitionVersion
	schemaPart     = apiextensionsv1.JSONSchemaProps
)

// withField is a definition with one version and one field, spec.field.
func withField(field schemaPart) *definitionPart {
	return &definitionPart{Spec: apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.com",
		Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "Thing", ShortNames: []string{"a", "b"}},
		Scope: apiextensionsv1.NamespaceScoped,
		Versions: []versionPart{{
			Name: "v1", Served: true, Storage: true,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &schemaPart{
				Type: "object",
				Properties: map[string]schemaPart{
					"metadata": {Type: "object"},
					"spec":     {Type: "object", Properties: map[string]schemaPart{"field": field}},
				},
			}},
		}},
	}}
}

func raw(text string) *apiextensionsv1.JSON { return &apiextensionsv1.JSON{Raw: []byte(text)} }

func ruled(rules ...string) schemaPart {
	s := schemaPart{Type: "object"}
	for _, r := range rules {
		s.XValidations = append(s.XValidations, apiextensionsv1.ValidationRule{Rule: r})
	}
	return s
}

// TestFieldDifferences has one row for each aspect of a field.
func TestFieldDifferences(t *testing.T) {
	text := func(change func(*schemaPart)) schemaPart {
		s := schemaPart{Type: "string"}
		change(&s)
		return s
	}
	tests := map[string]struct {
		want, got schemaPart
		aspect    string
	}{
		"type":             {schemaPart{Type: "string"}, schemaPart{Type: "integer"}, "type"},
		"format":           {text(func(s *schemaPart) { s.Format = "byte" }), text(func(*schemaPart) {}), "format"},
		"default":          {text(func(s *schemaPart) { s.Default = raw(`"x"`) }), text(func(s *schemaPart) { s.Default = raw(`"y"`) }), "default"},
		"enum":             {text(func(s *schemaPart) { s.Enum = []apiextensionsv1.JSON{*raw(`"x"`)} }), text(func(*schemaPart) {}), "enum"},
		"pattern":          {text(func(s *schemaPart) { s.Pattern = "a" }), text(func(s *schemaPart) { s.Pattern = "b" }), "pattern"},
		"minimum":          {text(func(s *schemaPart) { s.Minimum = ptr.To(1.0) }), text(func(*schemaPart) {}), "minimum"},
		"minimum zero":     {text(func(s *schemaPart) { s.Minimum = ptr.To(0.0) }), text(func(*schemaPart) {}), "minimum"},
		"maximum":          {text(func(s *schemaPart) { s.Maximum = ptr.To(1.0) }), text(func(s *schemaPart) { s.Maximum = ptr.To(2.0) }), "maximum"},
		"min length":       {text(func(s *schemaPart) { s.MinLength = ptr.To[int64](1) }), text(func(*schemaPart) {}), "minLength"},
		"max length":       {text(func(s *schemaPart) { s.MaxLength = ptr.To[int64](1) }), text(func(*schemaPart) {}), "maxLength"},
		"min items":        {text(func(s *schemaPart) { s.MinItems = ptr.To[int64](1) }), text(func(*schemaPart) {}), "minItems"},
		"max items":        {text(func(s *schemaPart) { s.MaxItems = ptr.To[int64](1) }), text(func(*schemaPart) {}), "maxItems"},
		"nullable":         {text(func(s *schemaPart) { s.Nullable = true }), text(func(*schemaPart) {}), "nullable"},
		"int or string":    {schemaPart{XIntOrString: true}, schemaPart{}, "intOrString"},
		"preserve unknown": {text(func(s *schemaPart) { s.XPreserveUnknownFields = ptr.To(true) }), text(func(*schemaPart) {}), "preserveUnknown"},
		"list type":        {text(func(s *schemaPart) { s.XListType = ptr.To("map") }), text(func(*schemaPart) {}), "listType"},
		"list map keys":    {text(func(s *schemaPart) { s.XListMapKeys = []string{"name"} }), text(func(*schemaPart) {}), "listMapKeys"},
		"map type":         {text(func(s *schemaPart) { s.XMapType = ptr.To("atomic") }), text(func(*schemaPart) {}), "mapType"},
		"rule":             {ruled("self.a > 1"), ruled("self.a > 2"), "rules"},
		"a rule more":      {ruled("self.a > 1"), ruled("self.a > 1", "self.b > 1"), "rules"},
		"space in literal": {ruled("self == 'a b'"), ruled("self == 'ab'"), "rules"},
		"alternatives":     {schemaPart{OneOf: []schemaPart{{Required: []string{"a"}}}}, schemaPart{}, "alternatives"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := compare("things", factsOf(withField(test.want)), factsOf(withField(test.got)))
			if len(got) != 1 {
				t.Fatalf("%d differences, want one: %v", len(got), got)
			}
			if diff := cmp.Diff(place{"v1", "spec.field", test.aspect}, got[0].place, cmp.AllowUnexported(place{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSameMeaningOfFields has fields that are written differently and mean the same.
func TestSameMeaningOfFields(t *testing.T) {
	tests := map[string]struct{ want, got schemaPart }{
		"description":      {schemaPart{Type: "string", Description: "a"}, schemaPart{Type: "string", Description: "b"}},
		"atomic list":      {schemaPart{XListType: ptr.To("atomic")}, schemaPart{}},
		"granular map":     {schemaPart{XMapType: ptr.To("granular")}, schemaPart{}},
		"64 bit integer":   {schemaPart{Type: "integer", Format: "int64"}, schemaPart{Type: "integer"}},
		"order of enum":    {schemaPart{Enum: []apiextensionsv1.JSON{*raw(`"a"`), *raw(`"b"`)}}, schemaPart{Enum: []apiextensionsv1.JSON{*raw(`"b"`), *raw(`"a"`)}}},
		"default's layout": {schemaPart{Default: raw(`{"a":1,"b":2}`)}, schemaPart{Default: raw(`{ "b": 2, "a": 1 }`)}},
		"order of rules":   {ruled("self.a", "self.b"), ruled("self.b", "self.a")},
		"space and quotes": {ruled(`self.a=='x' ? b : c`), ruled(`self.a  == "x"? b: c`)},
		"messages": {
			schemaPart{XValidations: apiextensionsv1.ValidationRules{{Rule: "a", Message: "x"}}},
			schemaPart{XValidations: apiextensionsv1.ValidationRules{{Rule: "a", Message: "y"}}},
		},
		"int or string's anyOf": {
			schemaPart{XIntOrString: true, AnyOf: []schemaPart{{Type: "integer"}, {Type: "string"}}},
			schemaPart{XIntOrString: true},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := compare("things", factsOf(withField(test.want)), factsOf(withField(test.got))); len(got) > 0 {
				t.Errorf("differences: %v", got)
			}
		})
	}
}

// TestPlaces has one row for each place outside of a field's own schema.
func TestPlaces(t *testing.T) {
	spec := func(d *definitionPart) *schemaPart {
		s := d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
		return &s
	}
	tests := map[string]struct {
		change func(*definitionPart)
		want   []place
	}{
		"scope":       {func(d *definitionPart) { d.Spec.Scope = apiextensionsv1.ClusterScoped }, []place{{aspect: "scope"}}},
		"kind":        {func(d *definitionPart) { d.Spec.Names.Kind = "Other"; d.Spec.Names.ListKind = "ThingList" }, []place{{aspect: "kind"}}},
		"short names": {func(d *definitionPart) { d.Spec.Names.ShortNames = []string{"a"} }, []place{{aspect: "shortNames"}}},
		"categories":  {func(d *definitionPart) { d.Spec.Names.Categories = []string{"all"} }, []place{{aspect: "categories"}}},
		"served":      {func(d *definitionPart) { d.Spec.Versions[0].Served = false }, []place{{"v1", "", "served"}}},
		"storage":     {func(d *definitionPart) { d.Spec.Versions[0].Storage = false }, []place{{"v1", "", "storage"}}},
		"deprecated":  {func(d *definitionPart) { d.Spec.Versions[0].Deprecated = true }, []place{{"v1", "", "deprecated"}}},
		"subresource": {func(d *definitionPart) {
			d.Spec.Versions[0].Subresources = &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}}
		}, []place{{"v1", "", "subresources"}}},
		"column": {func(d *definitionPart) {
			d.Spec.Versions[0].AdditionalPrinterColumns = []apiextensionsv1.CustomResourceColumnDefinition{{Name: "Age"}}
		}, []place{{"v1", "", "columns"}}},
		"required": {func(d *definitionPart) {
			s := spec(d)
			s.Required = []string{"field"}
			d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"] = *s
		}, []place{{"v1", "spec.field", "required"}}},
		"item": {func(d *definitionPart) {
			spec(d).Properties["field"] = schemaPart{Type: "string", Items: &apiextensionsv1.JSONSchemaPropsOrArray{Schema: &schemaPart{Type: "string"}}}
		}, []place{{"v1", "spec.field[]", "type"}}},
		"value of a map": {func(d *definitionPart) {
			spec(d).Properties["field"] = schemaPart{Type: "string", AdditionalProperties: &apiextensionsv1.JSONSchemaPropsOrBool{Schema: &schemaPart{Type: "string"}}}
		}, []place{{"v1", "spec.field{}", "type"}}},
		"field less": {func(d *definitionPart) { delete(spec(d).Properties, "field") }, []place{{"v1", "spec.field", "type"}}},
		"metadata":   {func(d *definitionPart) { delete(d.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties, "metadata") }, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			changed := withField(schemaPart{Type: "string"})
			test.change(changed)
			var got []place
			for _, d := range compare("things", factsOf(withField(schemaPart{Type: "string"})), factsOf(changed)) {
				got = append(got, d.place)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(place{})); diff != "" {
				t.Errorf("places differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMissingDefinition(t *testing.T) {
	got := compare("things", factsOf(withField(schemaPart{})), nil)
	want := []difference{{crd: "things", place: place{aspect: "exists"}, want: "true"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(difference{}, place{})); diff != "" {
		t.Errorf("differences differ (-want +got):\n%s", diff)
	}
}

func TestAcceptances(t *testing.T) {
	at := func(path, aspect string) difference {
		return difference{crd: "things", place: place{"v1", path, aspect}}
	}
	tests := map[string]struct {
		accepted  string
		in        []difference
		rest      []difference
		wantStale int
	}{
		"exact":             {"path: spec.a, aspects: [type]", []difference{at("spec.a", "type")}, nil, 0},
		"other aspect":      {"path: spec.a, aspects: [type]", []difference{at("spec.a", "enum")}, []difference{at("spec.a", "enum")}, 1},
		"other path":        {"path: spec.a, aspects: [type]", []difference{at("spec.ab", "type")}, []difference{at("spec.ab", "type")}, 1},
		"any aspect":        {"path: spec.a, aspects: ['*']", []difference{at("spec.a", "enum")}, nil, 0},
		"one step":          {"path: spec.*.b, aspects: [type]", []difference{at("spec.x.b", "type"), at("spec.x.y.b", "type")}, []difference{at("spec.x.y.b", "type")}, 0},
		"any steps":         {"path: spec.**, aspects: [type]", []difference{at("spec.x.y[].b", "type")}, nil, 0},
		"list items":        {"path: 'spec.x[].y', aspects: [type]", []difference{at("spec.x[].y", "type")}, nil, 0},
		"nothing to accept": {"path: spec.a, aspects: [type]", nil, nil, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			accepted, err := parseAcceptances([]byte("[{crd: things, reason: because, " + test.accepted + "}]"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.rest, accepted.rest(test.in), cmp.AllowUnexported(difference{}, place{})); diff != "" {
				t.Errorf("rest differs (-want +got):\n%s", diff)
			}
			if got := len(accepted.stale()); got != test.wantStale {
				t.Errorf("%d stale entries, want %d", got, test.wantStale)
			}
		})
	}
}

func TestAcceptanceNeedsReason(t *testing.T) {
	for name, text := range map[string]string{
		"no reason":     "[{crd: things, aspects: [type]}]",
		"no aspect":     "[{crd: things, reason: because}]",
		"no kind":       "[{aspects: [type], reason: because}]",
		"unknown field": "[{crd: things, aspects: [type], reason: because, color: red}]",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseAcceptances([]byte(text)); err == nil {
				t.Error("no error")
			}
		})
	}
}
