package schema

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
)

// kind is what one version of a definition compiles to.
type kind struct {
	structural *structural.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator // nil when the definition has no rules
	filled     []string       // fields that the API server's admission fills before it validates
}

// filledByAdmission are required fields that may be missing or empty in a manifest.
var filledByAdmission = map[schema.GroupKind][]string{
	{Group: "virtualization.deckhouse.io", Kind: "VirtualMachine"}: {"spec.virtualMachineClassName"},
}

func compile(gvk schema.GroupVersionKind, from *apiextensionsv1.CustomResourceValidation) (*kind, error) {
	internal := &apiextensions.CustomResourceValidation{}
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(from, internal, nil); err != nil {
		return nil, fmt.Errorf("convert schema of %s: %w", gvk.Kind, err)
	}
	s, err := structural.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, fmt.Errorf("compile definition of %s: %w", gvk.Kind, err)
	}
	v, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, fmt.Errorf("compile schema of %s: %w", gvk.Kind, err)
	}
	return &kind{
		structural: s,
		schema:     v,
		rules:      cel.NewValidator(s, true, celconfig.PerCallLimit),
		filled:     filledByAdmission[gvk.GroupKind()],
	}, nil
}

// fault is one thing that is wrong with an object.
type fault struct {
	field   string
	value   string // what stands there, shown before the problem when it stands in the source in clear
	problem string
	unknown bool // the field should not be there at all
}

// check goes the way of the API server: metadata, unknown fields, defaults, schema, lists, rules. Rules run only on
// objects that have the right form.
func (k *kind) check(ctx context.Context, u *unstructured.Unstructured) []fault {
	object := u.DeepCopy().Object
	faults := slices.Concat(k.checkMetadata(object), k.unknownFields(object))
	defaulting.Default(object, k.structural)
	form := slices.Concat(
		k.explain(validation.ValidateCustomResource(nil, object, k.schema)),
		k.explain(listtype.ValidateListSetsAndMaps(nil, k.structural, object)),
	)
	faults = append(faults, form...)
	if len(form) > 0 || k.rules == nil {
		return faults
	}
	broken, _ := k.rules.Validate(ctx, nil, k.structural, object, nil, celconfig.RuntimeCELCostBudget)
	return append(faults, k.explain(broken)...)
}

func (k *kind) checkMetadata(object map[string]any) []fault {
	_, _, unknown, err := objectmeta.GetObjectMetaWithOptions(object, objectmeta.ObjectMetaOptions{ReturnUnknownFieldPaths: true})
	if err != nil {
		return []fault{{field: "metadata", problem: "has a value of the wrong type: labels and annotations must be strings, quote numbers and booleans"}}
	}
	return unknownFaults(unknown)
}

func (k *kind) unknownFields(object map[string]any) []fault {
	return unknownFaults(pruning.PruneWithOptions(object, k.structural, true, structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}))
}

const unknownField = "unknown field; check its spelling and indentation"

func unknownFaults(paths []string) []fault {
	faults := make([]fault, len(paths))
	for i, p := range paths {
		faults[i] = fault{field: p, problem: unknownField, unknown: true}
	}
	return faults
}

// explain words errors without the values that they carry, which may be secret; only those of enumerations are kept.
func (k *kind) explain(list field.ErrorList) []fault {
	var faults []fault
	for _, e := range list {
		name := strings.TrimPrefix(e.Field, "<nil>.")
		if name == "<nil>" {
			name = ""
		}
		if slices.Contains(k.filled, name) {
			continue
		}
		faults = append(faults, fault{field: name, value: shown(e), problem: problem(e)})
	}
	return faults
}

func problem(e *field.Error) string {
	detail := strings.TrimPrefix(e.Detail, e.Field+" in body ")
	switch e.Type {
	case field.ErrorTypeRequired:
		return strings.TrimSuffix("is required: "+detail, ": ")
	case field.ErrorTypeNotSupported:
		return "is not supported; " + detail
	case field.ErrorTypeTooLong, field.ErrorTypeTooMany:
		return strings.ToLower(e.Type.String()) + ": " + detail
	case field.ErrorTypeDuplicate:
		return "stands there twice"
	}
	return detail
}

// shown is the value of an enumeration.
func shown(e *field.Error) string {
	value, err := json.Marshal(e.BadValue)
	if e.Type != field.ErrorTypeNotSupported || err != nil || len(value) > 100 {
		return ""
	}
	return string(value)
}
