package environment

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/render"
	"slipway.dev/slipway/render/substitute"
)

// parameters is a manifest with variables of each source.
const parameters = `
apiVersion: v1
kind: ConfigMap
metadata: {name: parameters}
data:
  color: ${COLOR}
  size: ${SIZE:=small}
  password: ${PASSWORD}
`

func (w *world) values(name string) map[string]string {
	w.Helper()
	u := w.live("ConfigMap", name)
	if u == nil {
		return nil
	}
	values, _, err := unstructured.NestedStringMap(u.Object, "data")
	if err != nil {
		w.Fatal(err)
	}
	return values
}

// wantNowhere checks that a text stands in no status and no event.
func (w *world) wantNowhere(secret string) {
	w.Helper()
	content := must(json.Marshal(w.env.Status))(w)
	for _, text := range append(w.events.Drain(), string(content)) {
		if strings.Contains(text, secret) {
			w.Errorf("%s\nshows %q", text, secret)
		}
	}
}

func TestSubstitution(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.ConfigMap{ObjectMeta: w.named("first"), Data: map[string]string{"COLOR": "red", "SIZE": "large", "not.a.name": "x"}})
	w.spec(func(s *v1alpha1.EnvironmentSpec) {
		s.Substitute = map[string]string{"COLOR": "42"}
		s.SubstituteFrom = []v1alpha1.SubstituteReference{
			{Kind: "ConfigMap", Name: "first"}, {Kind: "ConfigMap", Name: "extra", Optional: true}, {Kind: "Secret", Name: "hidden"},
		}
	})
	w.push("main@sha1:0001", map[string]string{"a.yaml": parameters})
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.InputNotFoundReason, "spec.substituteFrom[2]", "there is no Secret hidden")

	w.create(&corev1.Secret{ObjectMeta: w.named("hidden"), StringData: map[string]string{"PASSWORD": "hunter2\n"}})
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	want := map[string]string{"color": "42", "size": "large", "password": "hunter2"}
	if got := w.values("parameters"); len(got) != 3 || got["color"] != want["color"] || got["size"] != want["size"] || got["password"] != want["password"] {
		t.Errorf("%v, want %v", got, want)
	}

	// What comes later wins, and a change of an input is a change of the revision.
	w.create(&corev1.ConfigMap{ObjectMeta: w.named("extra"), Data: map[string]string{"SIZE": "huge"}})
	w.settle()
	if got := w.values("parameters")["size"]; got != "huge" {
		t.Errorf("size is %q after the optional ConfigMap came", got)
	}
	before := w.writes.Load()
	w.settle()
	if w.writes.Load() != before {
		t.Error("a run with unchanged inputs wrote")
	}
	w.wantNowhere("hunter2")
}

func TestUndeclaredVariable(t *testing.T) {
	w := newWorld(t)
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.Substitute = map[string]string{"COLOR": "red"} })
	w.push("main@sha1:0001", map[string]string{"dir/a.yaml": parameters})
	w.settle()
	w.wantStalled(v1alpha1.RenderFailedReason, "dir/a.yaml:8", "data.password", "${PASSWORD}: the variable is not declared")
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.Substitute["PASSWORD"] = "x" })
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.Substitute["no name"] = "x" })
	w.settle()
	w.wantStalled(v1alpha1.RenderFailedReason, `spec.substitute: "no name" cannot be the name of a variable`)
}

// TestCVE_2025_23216, and GHSA-274v-mgcv-cm8j of the same: it lets the API server refuse an object with a secret in it: it quotes what it refuses.
func TestCVE_2025_23216(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.Secret{ObjectMeta: w.named("hidden"), StringData: map[string]string{"MODE": "hunter2hunter2"}})
	w.spec(func(s *v1alpha1.EnvironmentSpec) {
		s.SubstituteFrom = []v1alpha1.SubstituteReference{{Kind: "Secret", Name: "hidden"}}
	})
	w.push("main@sha1:0001", map[string]string{"a.yaml": strings.Replace(rootDisk, "size: 1Gi", "size: '${MODE}'", 1)})
	if _, err := w.run(); err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v\nshows the secret", err)
	}
	w.want(metav1.ConditionFalse, v1alpha1.ApplyFailedReason, "***")
	w.wantNowhere("hunter2")
}

func TestCVE_2026_42880(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.Secret{ObjectMeta: w.named("hidden"), StringData: map[string]string{"PASSWORD": "hunter2"}})
	w.spec(func(s *v1alpha1.EnvironmentSpec) {
		s.Substitute = map[string]string{"COLOR": "red"}
		s.SubstituteFrom = []v1alpha1.SubstituteReference{{Kind: "Secret", Name: "hidden"}}
	})
	w.push("main@sha1:0001", map[string]string{"a.yaml": parameters})
	w.settle()
	p := &Planner{Renderer: render.New(1, nil), Mapper: w.admin.RESTMapper()}
	tree := fstest.MapFS{"a.yaml": {Data: []byte(strings.NewReplacer("${PASSWORD}", "x${PASSWORD}", "${COLOR}", "blue").Replace(parameters))}}
	got := must(p.Plan(t.Context(), w.admin, w.env, Tree{Files: tree}))(t)
	var text strings.Builder
	if err := plan.Text(&text, got); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"data.password: changed (not shown)", "data.color: red → blue"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%s\nwant %q in it", text.String(), want)
		}
	}
	if strings.Contains(text.String(), "hunter2") {
		t.Errorf("%s\nshows the secret", text.String())
	}
}

func TestDecryption(t *testing.T) {
	w := newWorld(t)
	fixture := func(name string) string {
		return string(must(os.ReadFile("../../render/decrypt/testdata/" + name))(t))
	}
	w.push("main@sha1:0001", map[string]string{"secret.yaml": fixture("secret.yaml")})
	w.settle()
	w.wantStalled(v1alpha1.RenderFailedReason, "secret.yaml:1: is encrypted with SOPS", "spec.decryption.secretRef")

	w.spec(func(s *v1alpha1.EnvironmentSpec) {
		s.Decryption = &v1alpha1.Decryption{Provider: "sops", SecretRef: v1alpha1.LocalObjectReference{Name: "keys"}}
	})
	w.settle()
	w.want(metav1.ConditionUnknown, v1alpha1.InputNotFoundReason, "spec.decryption.secretRef", "there is no Secret keys")

	w.create(&corev1.Secret{ObjectMeta: w.named("keys"), StringData: map[string]string{"pgp.asc": fixture("tenant.asc")}})
	w.settle()
	w.wantStalled(v1alpha1.RenderFailedReason, "secret.yaml:1: cannot be decrypted with the keys of spec.decryption")

	keys := &corev1.Secret{}
	w.get("keys", keys)
	keys.StringData = map[string]string{"tenant.agekey": fixture("tenant.agekey")}
	if err := w.admin.Update(t.Context(), keys); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	secret := &corev1.Secret{}
	w.get("cloud-init", secret)
	if got := string(secret.Data["userData"]); got != "#cloud-config\npassword: hunter2\n" {
		t.Errorf("%q was decrypted", got)
	}
	w.wantNowhere("hunter2")
	w.wantNowhere("AGE-SECRET-KEY")
}

// TestCVE_2026_41050: who may make an Environment must not thereby read every Secret of the namespace.
func TestCVE_2026_41050(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.Secret{ObjectMeta: w.named("hidden"), StringData: map[string]string{"COLOR": "hunter2", "PASSWORD": "x"}})
	w.revoke()
	w.grant("create", "patch")
	w.spec(func(s *v1alpha1.EnvironmentSpec) {
		s.SubstituteFrom = []v1alpha1.SubstituteReference{{Kind: "Secret", Name: "hidden"}}
	})
	w.push("main@sha1:0001", map[string]string{"a.yaml": parameters})
	if _, err := w.run(); err == nil {
		t.Error("nothing failed")
	}
	w.want(metav1.ConditionFalse, v1alpha1.ForbiddenReason, "spec.substituteFrom[0]")
	if w.values("parameters") != nil {
		t.Error("the Secret was read")
	}
}

func TestSecretValuesAreTheLongOnesFirst(t *testing.T) {
	got := secretValues(substitute.Variables{
		"A": {Value: "abcd\n", Secret: true}, "B": {Value: "abcdefgh", Secret: true}, "C": {Value: "abc", Secret: true}, "D": {Value: "public value"},
	})
	if len(got) != 2 || got[0] != "abcdefgh" || got[1] != "abcd" {
		t.Errorf("%q", got)
	}
}
