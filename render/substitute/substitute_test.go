package substitute

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// kinds is a schema with one field of each type.
type kinds struct{}

func (kinds) SchemaOf(gvk schema.GroupVersionKind) Field {
	if gvk.Kind != "Thing" {
		return nil
	}
	return fields{
		"text": leaf(String), "count": leaf(Integer), "ratio": leaf(Number), "flag": leaf(Boolean), "port": leaf(IntOrString),
		"list": list{leaf(Integer)}, "deep": fields{"text": leaf(String)}, "free": leaf(Unknown),
	}
}

type leaf Type

func (l leaf) Type() Type         { return Type(l) }
func (l leaf) Child(string) Field { return nil }
func (l leaf) Item() Field        { return nil }

type fields map[string]Field

func (f fields) Type() Type { return Structure }
func (f fields) Child(name string) Field {
	if name == "spec" {
		return f
	}
	return f[name]
}
func (f fields) Item() Field { return nil }

type list struct{ item Field }

func (l list) Type() Type         { return Structure }
func (l list) Child(string) Field { return nil }
func (l list) Item() Field        { return l.item }

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	content, err := yaml.YAMLToJSON([]byte(text))
	if err == nil {
		err = u.UnmarshalJSON(content)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func thing(spec string) string {
	return "apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}\nspec: {" + spec + "}\n"
}

var variables = Variables{
	"NAME": {Value: "web"}, "NUMBER": {Value: "42"}, "YES": {Value: "true"}, "RATIO": {Value: "1.5"}, "EMPTY": {},
	"LINES": {Value: "a\nb\n"}, "INJECT": {Value: "x\nevil: true\n---\nkind: Secret"}, "OTHER": {Value: "${NAME}"},
	"PASSWORD": {Value: "hunter2\n", Secret: true}, "PIN": {Value: "1234", Secret: true},
}

func TestValuesTakeTheTypeOfTheirField(t *testing.T) {
	tests := map[string]struct {
		spec string
		want any
	}{
		"number in a text":         {"text: '${NUMBER}'", map[string]any{"text": "42"}},
		"boolean in a text":        {"text: '${YES}'", map[string]any{"text": "true"}},
		"number":                   {"count: '${NUMBER}'", map[string]any{"count": int64(42)}},
		"number put together":      {"count: '1${NUMBER}'", map[string]any{"count": int64(142)}},
		"fraction":                 {"ratio: '${RATIO}'", map[string]any{"ratio": 1.5}},
		"number for a fraction":    {"ratio: '${NUMBER}'", map[string]any{"ratio": int64(42)}},
		"boolean":                  {"flag: '${YES}'", map[string]any{"flag": true}},
		"port number":              {"port: '${NUMBER}'", map[string]any{"port": int64(42)}},
		"port name":                {"port: '${NAME}'", map[string]any{"port": "web"}},
		"list":                     {"list: ['${NUMBER}', 1]", map[string]any{"list": []any{int64(42), int64(1)}}},
		"deep":                     {"deep: {text: 'a ${NUMBER} b'}", map[string]any{"deep": map[string]any{"text": "a 42 b"}}},
		"unknown field":            {"free: '${NUMBER}'", map[string]any{"free": int64(42)}},
		"unknown field, more text": {"free: '${NUMBER}1'", map[string]any{"free": "421"}},
		"field without a schema":   {"more: {a: '${YES}', b: '${NAME}'}", map[string]any{"more": map[string]any{"a": true, "b": "web"}}},
		"line breaks":              {"text: '${LINES}'", map[string]any{"text": "a\nb"}},
		"YAML in a value":          {"text: '${INJECT}'", map[string]any{"text": "x\nevil: true\n---\nkind: Secret"}},
		"YAML in an unknown field": {"free: '${INJECT}'", map[string]any{"free": "x\nevil: true\n---\nkind: Secret"}},
		"a variable in a value":    {"text: '${OTHER}'", map[string]any{"text": "${NAME}"}},
		"default":                  {"text: '${NOTHING:=x}-${NOTHING:-y}-${NAME:-z}'", map[string]any{"text": "x-y-web"}},
		"default is a variable":    {"text: '${NOTHING:=${NAME}}'", map[string]any{"text": "web"}},
		"typed default":            {"count: '${NOTHING:=7}'", map[string]any{"count": int64(7)}},
		"empty":                    {"text: 'a${EMPTY}b'", map[string]any{"text": "ab"}},
		"functions":                {"text: '${NAME^^} ${NAME:1:1} ${NAME/w/v} ${#NAME} ${NAME%b}'", map[string]any{"text": "WEB e veb 3 we"}},
		"escaped":                  {"text: '$${NAME} ${NAME}'", map[string]any{"text": "${NAME} web"}},
		"no substitution":          {"text: '$NAME $$ $(NAME) {NAME}'", map[string]any{"text": "$NAME $$ $(NAME) {NAME}"}},
		"key":                      {"free: {'${NAME}-x': 1}", map[string]any{"free": map[string]any{"web-x": int64(1)}}},
		"already typed":            {"count: 3, flag: false", map[string]any{"count": int64(3), "flag": false}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			u := object(t, thing(test.spec))
			if _, err := Apply([]*unstructured.Unstructured{u}, variables, kinds{}, nil); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, u.Object["spec"]); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestMetadataIsText(t *testing.T) {
	u := object(t, "apiVersion: example.com/v1\nkind: Unheard\nmetadata: {name: '${NAME}-${NUMBER}', labels: {a: '${NUMBER}'}, annotations: {'${NAME}': '${YES}'}}\n")
	if _, err := Apply([]*unstructured.Unstructured{u}, variables, kinds{}, nil); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"name": "web-42", "labels": map[string]any{"a": "42"}, "annotations": map[string]any{"web": "true"}}
	if diff := cmp.Diff(any(want), u.Object["metadata"]); diff != "" {
		t.Fatal(diff)
	}
}

func TestTheKindIsKnownAfterItIsSubstituted(t *testing.T) {
	u := object(t, strings.Replace(thing("count: '${NUMBER}'"), "kind: Thing", "kind: '${KIND}'", 1))
	if _, err := Apply([]*unstructured.Unstructured{u}, Variables{"KIND": {Value: "Thing"}, "NUMBER": {Value: "1"}}, kinds{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := u.Object["spec"].(map[string]any)["count"]; got != int64(1) || u.GetKind() != "Thing" {
		t.Errorf("%s has count %v", u.GetKind(), got)
	}
}

func TestOptingOut(t *testing.T) {
	for _, meta := range []string{
		"annotations: {gitops.slipway.dev/substitute: disabled}", "labels: {gitops.slipway.dev/substitute: disabled}",
		"annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}", "labels: {kustomize.toolkit.fluxcd.io/substitute: disabled}",
	} {
		u := object(t, strings.Replace(thing("text: '${NAME} ${UNDECLARED}'"), "name: a", "name: a, "+meta, 1))
		if _, err := Apply([]*unstructured.Unstructured{u}, variables, kinds{}, nil); err != nil {
			t.Errorf("%s: %v", meta, err)
		}
		if got := u.Object["spec"].(map[string]any)["text"]; got != "${NAME} ${UNDECLARED}" {
			t.Errorf("%s: %v", meta, got)
		}
	}
}

func TestNoVariablesMeansNoSubstitution(t *testing.T) {
	u := object(t, thing("text: '${NAME}'"))
	if _, err := Apply([]*unstructured.Unstructured{u}, nil, kinds{}, nil); err != nil || u.Object["spec"].(map[string]any)["text"] != "${NAME}" {
		t.Errorf("%v, %v", u.Object["spec"], err)
	}
	var faults Errors
	if _, err := Apply([]*unstructured.Unstructured{u}, Variables{}, kinds{}, nil); !errors.As(err, &faults) {
		t.Errorf("Apply() = %v, want an undeclared variable", err)
	}
}

func TestSecretsAreMarked(t *testing.T) {
	objects := []*unstructured.Unstructured{
		object(t, thing("text: plain, free: ['${NAME}']")),
		object(t, thing("text: 'a ${PASSWORD}', free: ['${NAME}', '${NAME:=${PIN}}'], count: '${PIN}'")),
	}
	hidden, err := Apply(objects, variables, kinds{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Hidden{1: {"spec.count", "spec.free.1", "spec.text"}}, hidden); diff != "" {
		t.Fatal(diff)
	}
	if got := objects[1].Object["spec"].(map[string]any)["text"]; got != "a hunter2" {
		t.Errorf("%q, without the line break that the tool added", got)
	}
}

func TestFaults(t *testing.T) {
	locate := func(_ *unstructured.Unstructured, path []string, part string) (string, int) {
		if part == "" {
			t.Error("nothing to look for")
		}
		return "dir/a.yaml", len(path)
	}
	big := strings.Repeat("x", 1<<20)
	many := Variables{"BIG": {Value: big}, "NAME": {Value: "web"}, "PASSWORD": {Value: "hunter2", Secret: true}, "PIN": {Value: "1234", Secret: true}}
	tests := map[string]struct{ spec, want string }{
		"undeclared":                {"deep: {text: 'a ${MISSING} b'}", "dir/a.yaml:3: Thing/a: spec.deep.text: ${MISSING}: the variable is not declared; declare it in spec.substitute"},
		"undeclared with function":  {"text: '${MISSING^^}'", "${MISSING}: the variable is not declared"},
		"undeclared in a default":   {"text: '${X:=${MISSING}}'", "${MISSING}: the variable is not declared"},
		"not a number":              {"count: '${NAME}'", "spec.count: the field must be an integer, and what is put there is not one; correct the value of the variable in ${NAME}"},
		"secret that is no number":  {"count: '${PASSWORD}'", "must be an integer"},
		"not a boolean":             {"flag: '${PIN}'", "must be true or false"},
		"not a fraction":            {"ratio: '${NAME}'", "must be a number"},
		"mapping":                   {"deep: '${NAME}'", "must be a mapping or a list"},
		"bash array":                {"text: '${names[@]}'", "does not parse; correct ${names[@]}"},
		"not closed":                {"text: '${NAME'", "does not parse"},
		"no name":                   {"text: '${}'", "does not parse"},
		"secret in a key":           {"free: {'${PASSWORD}': 1}", "the value of a Secret cannot become the name of a field"},
		"key that is there already": {"free: {'${NAME}': 1, web: 2}", "the key becomes one that is there already"},
		"too large":                 {"text: '${BIG}${BIG}${BIG}${BIG}${BIG}'", "grows over 4 MiB"},
		"far too large":             {"text: '${BIG//x/${BIG}}'", "grows over 4 MiB"},
		"slow pattern":              {"text: '${BIG%%*y}'", "grows over 4 MiB"},
		"very many":                 {"text: '" + strings.Repeat("${NAME}", maxExpressions+1) + "'", "does not parse"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Apply([]*unstructured.Unstructured{object(t, thing(test.spec))}, many, kinds{}, locate)
			var faults Errors
			if !errors.As(err, &faults) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("Apply() = %.300v, want %q", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "1234") {
				t.Errorf("%v\nshows a secret", err)
			}
		})
	}
}

func TestSecretsNeverNameObjects(t *testing.T) {
	for _, text := range []string{
		"apiVersion: v1\nkind: X\nmetadata: {name: 'a-${PIN}'}\n",
		"apiVersion: v1\nkind: X\nmetadata: {name: a, namespace: '${PASSWORD}'}\n",
		"apiVersion: v1\nkind: '${PASSWORD}'\nmetadata: {name: a}\n",
		"apiVersion: '${PASSWORD}'\nkind: X\nmetadata: {name: a}\n",
	} {
		_, err := Apply([]*unstructured.Unstructured{object(t, text)}, variables, kinds{}, nil)
		if err == nil || !strings.Contains(err.Error(), "cannot become part of what an object is called") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestAllFaultsAreTold(t *testing.T) {
	u := object(t, thing("text: '${A}', free: {b: '${B}', c: '${C}'}"))
	_, err := Apply([]*unstructured.Unstructured{u, u}, Variables{}, kinds{}, nil)
	var faults Errors
	if !errors.As(err, &faults) || len(faults) != 6 {
		t.Errorf("%d faults, want 6: %v", len(faults), err)
	}
	many := make([]*unstructured.Unstructured, 50)
	for i := range many {
		many[i] = u
	}
	if _, err := Apply(many, Variables{}, kinds{}, nil); !errors.As(err, &faults) || len(faults) != maxErrors {
		t.Errorf("%d faults, want %d", len(faults), maxErrors)
	}
}

func TestDigest(t *testing.T) {
	a := Variables{"A": {Value: "1"}, "B": {Value: "2"}}
	same := Variables{"B": {Value: "2"}, "A": {Value: "1"}}
	others := []Variables{nil, {}, {"A": {Value: "1"}}, {"A": {Value: "1"}, "B": {Value: "2", Secret: true}}, {"A": {Value: "12"}, "B": {Value: ""}}}
	if a.Digest() != same.Digest() {
		t.Error("the order counts")
	}
	for _, o := range others {
		if a.Digest() == o.Digest() {
			t.Errorf("%v has the digest of %v", o, a)
		}
	}
}

func TestCheckName(t *testing.T) {
	for name, valid := range map[string]bool{"A": true, "_a1": true, "1a": false, "a-b": false, "": false, "a b": false, "a\n": false} {
		if err := CheckName(name); (err == nil) != valid {
			t.Errorf("CheckName(%q) = %v", name, err)
		}
	}
}

// FuzzApply checks that whatever stands in a value or a text, the form of the object stays what it is.
func FuzzApply(f *testing.F) {
	f.Add("${A}", "x\nevil: true", "${A}")
	f.Add("${A:=${B}}", "}", "$${A}")
	f.Add("${A//x/${A}}", "xxx", "k")
	f.Add("${A:99:1}${#A}${A%%*}", "日本", "${A^^}")
	f.Fuzz(func(t *testing.T, text, value, key string) {
		u := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "example.com/v1", "kind": "Thing", "metadata": map[string]any{"name": "a"},
			"spec": map[string]any{"text": text, "count": text, "free": map[string]any{key: text}},
		}}
		if _, err := Apply([]*unstructured.Unstructured{u}, Variables{"A": {Value: value}}, kinds{}, nil); err != nil {
			var faults Errors
			if !errors.As(err, &faults) {
				t.Errorf("Apply() = %v, want Errors", err)
			}
			return
		}
		spec := u.Object["spec"].(map[string]any)
		free := spec["free"].(map[string]any)
		if len(u.Object) != 4 || len(spec) != 3 || len(free) != 1 {
			t.Errorf("%v has another form", u.Object)
		}
		for _, got := range free {
			switch got.(type) {
			case string, int64, float64, bool:
			default:
				t.Errorf("a value became %T", got)
			}
		}
	})
}
