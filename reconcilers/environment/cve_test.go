package environment

import (
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// TestCVE_2026_44938 of Fleet: a tenant's bundle set labels of namespaces, and so lifted pod security from its own pods. The
// ServiceAccount may do everything in its namespace, the label of the Namespace included, and nothing elsewhere.
func TestCVE_2026_44938(t *testing.T) {
	namespace := func(name, labels string) string {
		return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + name + ", labels: {" + labels + "}}\n"
	}
	const privileged = "pod-security.kubernetes.io/enforce: privileged"
	tests := map[string]struct {
		manifest func(own string) string
		spec     func(*v1alpha1.EnvironmentSpec)
		reason   string
		says     string
	}{
		"own namespace":            {manifest: func(own string) string { return namespace(own, privileged) }, reason: v1alpha1.ChangeRefusedReason, says: "a.yaml:1: the Namespace"},
		"own namespace, Deckhouse": {manifest: func(own string) string { return namespace(own, "security.deckhouse.io/pod-policy: privileged") }, reason: v1alpha1.ChangeRefusedReason, says: "a.yaml:1: the Namespace"},
		"another namespace":        {manifest: func(string) string { return namespace("default", privileged) }, reason: v1alpha1.ForbiddenReason, says: "namespaces"},
		"by common metadata": {manifest: func(own string) string { return namespace(own, "a: b") }, spec: func(s *v1alpha1.EnvironmentSpec) {
			s.CommonMetadata = &v1alpha1.CommonMetadata{Labels: map[string]string{"pod-security.kubernetes.io/enforce": "privileged"}}
		}, reason: v1alpha1.ChangeRefusedReason, says: "a.yaml:1: the Namespace"},
		"by a patch": {manifest: func(own string) string { return namespace(own, "a: b") }, spec: func(s *v1alpha1.EnvironmentSpec) {
			s.Patches = []v1alpha1.Patch{{
				Target: &v1alpha1.Selector{Kind: "Namespace"},
				Patch:  "- {op: add, path: /metadata/labels/pod-security.kubernetes.io~1enforce, value: privileged}",
			}}
		}, reason: v1alpha1.ChangeRefusedReason, says: "a.yaml:1: the Namespace"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if test.spec != nil {
				w.spec(test.spec)
			}
			w.push("main@sha1:0001", map[string]string{"a.yaml": test.manifest(w.namespace)})
			_, _ = w.run()
			w.want(metav1.ConditionFalse, test.reason, test.says)
			for _, name := range []string{w.namespace, "default"} {
				live := &corev1.Namespace{}
				if err := w.admin.Get(t.Context(), client.ObjectKey{Name: name}, live); err != nil {
					t.Fatal(err)
				}
				for label := range live.Labels {
					if strings.Contains(label, "pod-") {
						t.Errorf("Namespace %s has the label %s", name, label)
					}
				}
			}
		})
	}
}

// TestOwnNamespaceMayBeLabeled: what says nothing about pods is for the source to say.
func TestOwnNamespaceMayBeLabeled(t *testing.T) {
	w := newWorld(t)
	w.push("main@sha1:0001", map[string]string{"a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + w.namespace + ", labels: {team: blue}}\n"})
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
}

// TestCVE_2024_52284 of Fleet: values from Secrets stood in objects that everybody reads. Here they stand in the Secret that
// they go into and nowhere else.
func TestCVE_2024_52284(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.Secret{ObjectMeta: w.named("hidden"), StringData: map[string]string{"PASSWORD": "hunter2hunter2"}})
	w.spec(func(s *v1alpha1.EnvironmentSpec) {
		s.SubstituteFrom = []v1alpha1.SubstituteReference{{Kind: "Secret", Name: "hidden"}}
	})
	w.push("main@sha1:0001", map[string]string{
		"a.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {password: '${PASSWORD}'}\n", "b.yaml": settings,
	})
	w.settle()
	w.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
	if w.live("Secret", "login") == nil {
		t.Fatal("the Secret was not applied")
	}
	w.wantNowhere("hunter2")
	everything := []client.ObjectList{
		&corev1.ConfigMapList{}, &corev1.EventList{}, &v1alpha1.EnvironmentList{}, &v1alpha1.GitRepositoryList{},
	}
	for _, list := range everything {
		if err := w.admin.List(t.Context(), list, client.InNamespace(w.namespace)); err != nil {
			t.Fatal(err)
		}
		content := string(must(json.Marshal(list))(t))
		for _, spelling := range []string{"hunter2", "aHVudGVyMmh1bnRlcjI"} {
			if strings.Contains(content, spelling) {
				t.Errorf("%T shows %q: %s", list, spelling, content)
			}
		}
	}
}
