package conformance

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// place is where in a definition a fact holds: a field path such as spec.disks[].name below a version, or, with an empty
// path, the version or the whole definition.
type place struct {
	version string
	path    string
	aspect  string
}

// facts are all that a definition says, each under its place, in a form in which what means the same is the same.
type facts map[place]string

// factsOf takes a definition apart.
func factsOf(crd *apiextensionsv1.CustomResourceDefinition) facts {
	f := facts{}
	spec := crd.Spec
	listKind := spec.Names.ListKind
	if listKind == "" {
		listKind = spec.Names.Kind + "List"
	}
	for aspect, value := range map[string]string{
		"group":      spec.Group,
		"scope":      string(spec.Scope),
		"kind":       spec.Names.Kind,
		"listKind":   listKind,
		"plural":     spec.Names.Plural,
		"singular":   spec.Names.Singular,
		"shortNames": set(spec.Names.ShortNames),
		"categories": set(spec.Names.Categories),
	} {
		f.add(place{aspect: aspect}, value)
	}
	for i := range spec.Versions {
		f.addVersion(&spec.Versions[i])
	}
	return f
}

func (f facts) add(p place, value string) {
	if value != "" {
		f[p] = value
	}
}

func (f facts) addVersion(v *apiextensionsv1.CustomResourceDefinitionVersion) {
	for aspect, value := range map[string]string{
		"served":       fmt.Sprint(v.Served),
		"storage":      fmt.Sprint(v.Storage),
		"deprecated":   fmt.Sprint(v.Deprecated),
		"subresources": text(v.Subresources),
		"columns":      columns(v.AdditionalPrinterColumns),
	} {
		f.add(place{version: v.Name, aspect: aspect}, value)
	}
	if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
		return
	}
	root := v.Schema.OpenAPIV3Schema.DeepCopy()
	for _, served := range []string{"apiVersion", "kind", "metadata"} {
		delete(root.Properties, served) // the API server has its own schema for these
	}
	f.addSchema(place{version: v.Name}, root)
}

func (f facts) addSchema(at place, s *apiextensionsv1.JSONSchemaProps) {
	for aspect, value := range aspects(s) {
		f.add(place{at.version, at.path, aspect}, value)
	}
	for name, property := range s.Properties {
		p := place{version: at.version, path: strings.TrimPrefix(at.path+"."+name, ".")}
		f.addSchema(p, &property)
		if slices.Contains(s.Required, name) {
			f.add(place{p.version, p.path, "required"}, "true")
		}
	}
	if s.Items != nil && s.Items.Schema != nil {
		f.addSchema(place{version: at.version, path: at.path + "[]"}, s.Items.Schema)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		f.addSchema(place{version: at.version, path: at.path + "{}"}, s.AdditionalProperties.Schema)
	}
}

// aspects are what a schema says of the value itself, not of its parts.
func aspects(s *apiextensionsv1.JSONSchemaProps) map[string]string {
	return map[string]string{
		"type":            s.Type,
		"format":          format(s),
		"default":         literal(s.Default),
		"enum":            enum(s.Enum),
		"pattern":         s.Pattern,
		"minimum":         text(s.Minimum),
		"maximum":         text(s.Maximum),
		"exclusive":       flag(s.ExclusiveMinimum || s.ExclusiveMaximum),
		"multipleOf":      text(s.MultipleOf),
		"minLength":       text(s.MinLength),
		"maxLength":       text(s.MaxLength),
		"minItems":        text(s.MinItems),
		"maxItems":        text(s.MaxItems),
		"uniqueItems":     flag(s.UniqueItems),
		"minProperties":   text(s.MinProperties),
		"maxProperties":   text(s.MaxProperties),
		"nullable":        flag(s.Nullable),
		"preserveUnknown": flag(s.XPreserveUnknownFields != nil && *s.XPreserveUnknownFields),
		"embedded":        flag(s.XEmbeddedResource),
		"intOrString":     flag(s.XIntOrString),
		"listType":        listType(s),
		"listMapKeys":     set(s.XListMapKeys),
		"mapType":         mapType(s),
		"rules":           rules(s.XValidations),
		"alternatives":    alternatives(s),
	}
}

// format leaves out int64, which is what the API server takes an integer for without any.
func format(s *apiextensionsv1.JSONSchemaProps) string {
	if s.Type == "integer" && s.Format == "int64" {
		return ""
	}
	return s.Format
}

// listType leaves out atomic, which is what a list is without any.
func listType(s *apiextensionsv1.JSONSchemaProps) string {
	if s.XListType == nil || *s.XListType == "atomic" {
		return ""
	}
	return *s.XListType
}

// mapType leaves out granular, which is what a map is without any.
func mapType(s *apiextensionsv1.JSONSchemaProps) string {
	if s.XMapType == nil || *s.XMapType == "granular" {
		return ""
	}
	return *s.XMapType
}

// rules are the CEL rules without their messages, in one way of writing.
func rules(in apiextensionsv1.ValidationRules) string {
	out := make([]string, 0, len(in))
	for _, r := range in {
		out = append(out, canonicalRule(r.Rule))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// canonicalRule drops space outside of literals, and writes literals in single quotes. A literal that holds a quote or a
// backslash stays as it is.
func canonicalRule(rule string) string {
	var out strings.Builder
	for i := 0; i < len(rule); i++ {
		switch c := rule[i]; c {
		case ' ', '\n', '\t':
		case '\'', '"':
			end := strings.IndexByte(rule[i+1:], c)
			if end < 0 {
				return rule
			}
			body := rule[i+1 : i+1+end]
			if strings.ContainsAny(body, `'"\`) {
				return rule
			}
			out.WriteString("'" + body + "'")
			i += end + 1
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

// alternatives are oneOf, anyOf, allOf and not; what belongs to int-or-string is left out.
func alternatives(s *apiextensionsv1.JSONSchemaProps) string {
	found := map[string]any{}
	if len(s.AllOf) > 0 {
		found["allOf"] = s.AllOf
	}
	if len(s.AnyOf) > 0 && !s.XIntOrString {
		found["anyOf"] = s.AnyOf
	}
	if len(s.OneOf) > 0 {
		found["oneOf"] = s.OneOf
	}
	if s.Not != nil {
		found["not"] = s.Not
	}
	if len(found) == 0 {
		return ""
	}
	return text(found)
}

func columns(in []apiextensionsv1.CustomResourceColumnDefinition) string {
	out := make([]string, 0, len(in))
	for _, c := range in {
		out = append(out, fmt.Sprintf("%s %s %s %s %d", c.Name, c.Type, c.Format, c.JSONPath, c.Priority))
	}
	return strings.Join(out, "\n")
}

func enum(in []apiextensionsv1.JSON) string {
	out := make([]string, 0, len(in))
	for i := range in {
		out = append(out, literal(&in[i]))
	}
	return set(out)
}

func literal(in *apiextensionsv1.JSON) string {
	if in == nil {
		return ""
	}
	var value any
	if err := json.Unmarshal(in.Raw, &value); err != nil {
		return string(in.Raw)
	}
	return text(value)
}

func set(in []string) string {
	out := slices.Clone(in)
	slices.Sort(out)
	return strings.Join(out, " ")
}

func flag(in bool) string {
	if in {
		return "true"
	}
	return ""
}

// text prints a value as JSON, and nothing for a nil pointer.
func text(in any) string {
	out, err := json.Marshal(in)
	if err != nil {
		return err.Error()
	}
	if string(out) == "null" {
		return ""
	}
	return string(out)
}

// difference is a place where two definitions do not say the same. An empty value means that one says nothing there.
type difference struct {
	crd   string
	place place
	want  string
	got   string
}

func (d difference) String() string {
	where := strings.Join(slices.DeleteFunc([]string{d.crd, d.place.version, d.place.path}, func(s string) bool { return s == "" }), " ")
	return fmt.Sprintf("%s: %s\n\treference: %s\n\tSlipway:   %s", where, d.place.aspect, shown(d.want), shown(d.got))
}

func shown(value string) string {
	if value == "" {
		return "-"
	}
	return strings.ReplaceAll(value, "\n", "\n\t           ")
}

// compare lists the differences between two definitions, in the order of their places. Where one is nil, that alone is
// the difference.
func compare(name string, want, got facts) []difference {
	if want == nil || got == nil {
		return []difference{{crd: name, place: place{aspect: "exists"}, want: flag(want != nil), got: flag(got != nil)}}
	}
	places := maps.Clone(want)
	maps.Copy(places, got)
	var out []difference
	for p := range places {
		if want[p] != got[p] {
			out = append(out, difference{crd: name, place: p, want: want[p], got: got[p]})
		}
	}
	slices.SortFunc(out, func(a, b difference) int { return strings.Compare(a.String(), b.String()) })
	return out
}
