package schema

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"

	"slipway.dev/slipway/render/substitute"
)

// natives knows Kubernetes' own kinds, as far as bundles of machines bring them along.
var natives = sync.OnceValue(func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme,
		rbacv1.AddToScheme, autoscalingv2.AddToScheme, storagev1.AddToScheme, schedulingv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			panic("register native kinds: " + err.Error())
		}
	}
	return scheme
})

// nativeType returns the Go type of a kind of Kubernetes itself, nil when it is not among them.
func nativeType(gvk schema.GroupVersionKind) reflect.Type {
	object, err := natives().New(gvk)
	if err != nil {
		return nil
	}
	return reflect.TypeOf(object).Elem()
}

func nativeSchema(gvk schema.GroupVersionKind) substitute.Field {
	if t := nativeType(gvk); t != nil {
		return native{t}
	}
	return nil
}

// native is a place in a kind of Kubernetes itself.
type native struct{ t reflect.Type }

// opaque are types whose form in YAML is not that of the Go type.
var opaque = map[reflect.Type]substitute.Type{
	reflect.TypeFor[resource.Quantity]():    substitute.IntOrString,
	reflect.TypeFor[intstr.IntOrString]():   substitute.IntOrString,
	reflect.TypeFor[metav1.Time]():          substitute.String,
	reflect.TypeFor[metav1.MicroTime]():     substitute.String,
	reflect.TypeFor[metav1.Duration]():      substitute.String,
	reflect.TypeFor[[]byte]():               substitute.String,
	reflect.TypeFor[metav1.FieldsV1]():      substitute.Unknown,
	reflect.TypeFor[runtime.RawExtension](): substitute.Unknown,
}

// Type implements substitute.Field.
func (n native) Type() substitute.Type {
	if known, found := opaque[n.t]; found {
		return known
	}
	switch n.t.Kind() {
	case reflect.String:
		return substitute.String
	case reflect.Bool:
		return substitute.Boolean
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint32, reflect.Uint64:
		return substitute.Integer
	case reflect.Float32, reflect.Float64:
		return substitute.Number
	case reflect.Struct, reflect.Map, reflect.Slice:
		return substitute.Structure
	}
	return substitute.Unknown
}

// Child implements substitute.Field.
func (n native) Child(name string) substitute.Field {
	if child, found := n.child(name); found {
		return child
	}
	return nil
}

// Item implements substitute.Field.
func (n native) Item() substitute.Field {
	if n.t.Kind() == reflect.Slice && n.Type() == substitute.Structure {
		return native{plain(n.t.Elem())}
	}
	return nil
}

func (n native) child(name string) (native, bool) {
	if n.Type() != substitute.Structure {
		return native{}, false
	}
	switch n.t.Kind() {
	case reflect.Map:
		return native{plain(n.t.Elem())}, true
	case reflect.Struct:
		t, found := fieldsOf(n.t)[name]
		return native{t}, found
	}
	return native{}, false
}

func plain(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

var fieldCache sync.Map // reflect.Type to map[string]reflect.Type

// fieldsOf lists the fields of a struct by their names in YAML.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if known, found := fieldCache.Load(t); found {
		return known.(map[string]reflect.Type) //nolint:forcetypeassert // the only type that is put there
	}
	list := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "" && f.Anonymous:
			maps.Copy(list, fieldsOf(plain(f.Type)))
		case name != "" && name != "-":
			list[name] = plain(f.Type)
		}
	}
	fieldCache.Store(t, list)
	return list
}

// words name what a value must be.
var words = map[substitute.Type]string{
	substitute.String: "a string", substitute.Integer: "an integer", substitute.Number: "a number",
	substitute.Boolean: "true or false", substitute.IntOrString: "a string or a number",
}

// checkNative compares an object with its Go type: unknown fields and values of the wrong type.
func checkNative(t reflect.Type, u *unstructured.Unstructured) []fault {
	return native{t}.check(u.Object, "")
}

func (n native) check(value any, path string) []fault {
	kind := n.Type()
	if value == nil || kind == substitute.Unknown {
		return nil
	}
	switch v := value.(type) {
	case map[string]any:
		return n.checkMapping(v, path)
	case []any:
		return n.checkList(v, path)
	}
	if kind == substitute.Structure {
		return []fault{{field: path, problem: "must be " + n.structure()}}
	}
	if !fits(value, kind) {
		return []fault{{field: path, problem: "must be " + words[kind] + quoteHint(kind)}}
	}
	return nil
}

func (n native) structure() string {
	if n.t.Kind() == reflect.Slice {
		return "a list"
	}
	return "a mapping"
}

func quoteHint(t substitute.Type) string {
	if t == substitute.String {
		return "; quote it"
	}
	return ""
}

func fits(value any, t substitute.Type) bool {
	switch value.(type) {
	case string:
		return t == substitute.String || t == substitute.IntOrString
	case bool:
		return t == substitute.Boolean
	case int64:
		return t == substitute.Integer || t == substitute.Number || t == substitute.IntOrString
	case float64:
		return t == substitute.Number || t == substitute.IntOrString
	}
	return false
}

func (n native) checkMapping(m map[string]any, path string) []fault {
	kind := n.t.Kind()
	if n.Type() != substitute.Structure || kind == reflect.Slice {
		return []fault{{field: path, problem: "must be " + cmp.Or(words[n.Type()], "a list") + ", not a mapping"}}
	}
	var faults []fault
	for _, key := range slices.Sorted(maps.Keys(m)) {
		full := strings.TrimPrefix(path+"."+key, ".")
		if strings.Contains(key, ".") {
			full = path + "[" + key + "]"
		}
		child, found := n.child(key)
		if !found {
			faults = append(faults, fault{field: full, problem: unknownField, unknown: true})
			continue
		}
		faults = append(faults, child.check(m[key], full)...)
	}
	return faults
}

func (n native) checkList(list []any, path string) []fault {
	if n.Type() != substitute.Structure || n.t.Kind() != reflect.Slice {
		return []fault{{field: path, problem: "must be " + cmp.Or(words[n.Type()], "a mapping") + ", not a list"}}
	}
	var faults []fault
	for i, item := range list {
		faults = append(faults, native{plain(n.t.Elem())}.check(item, fmt.Sprintf("%s[%d]", path, i))...)
	}
	return faults
}
