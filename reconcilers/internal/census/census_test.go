package census

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

type phase string

func kind() Kind {
	return Kind{
		Name: "thing", List: func() client.ObjectList { return &corev1.ConfigMapList{} },
		Tell: func(obj client.Object, t Teller) {
			Phases(t, phase(obj.(*corev1.ConfigMap).Data["phase"]), "Pending", "Ready")
			t.Metadata()
		},
	}
}

func thing(name, phase string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name, UID: "u-1", Labels: map[string]string{"app.kubernetes.io/name": name, "app/kubernetes.io-name": "z"}},
		Data:       map[string]string{"phase": phase},
	}
}

func TestObjectsAreCountedWhenAsked(t *testing.T) {
	c := fake.NewClientBuilder().WithObjects(thing("a", "Ready"), thing("b", "")).Build()
	registry := prometheus.NewRegistry()
	if err := Register(registry, c, kind()); err != nil {
		t.Fatal(err)
	}
	phases := func(a, b string) string {
		return "# HELP d8_virtualization_thing_status_phase The phase of the object.\n# TYPE d8_virtualization_thing_status_phase gauge\n" + a + b
	}
	a := `d8_virtualization_thing_status_phase{name="a",namespace="team",phase="Pending",uid="u-1"} 0
d8_virtualization_thing_status_phase{name="a",namespace="team",phase="Ready",uid="u-1"} 1
`
	b := `d8_virtualization_thing_status_phase{name="b",namespace="team",phase="Pending",uid="u-1"} 1
d8_virtualization_thing_status_phase{name="b",namespace="team",phase="Ready",uid="u-1"} 0
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(phases(a, b)), "d8_virtualization_thing_status_phase"); err != nil {
		t.Error(err)
	}
	if err := c.Delete(t.Context(), thing("b", "")); err != nil {
		t.Fatal(err)
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(phases(a, "")), "d8_virtualization_thing_status_phase"); err != nil {
		t.Errorf("an object that is gone: %v", err)
	}
}

func TestLabelsThatComeOutAlikeDoNotClash(t *testing.T) {
	got := keyed("label_", map[string]string{"app.x": "1", "app/x": "2"})
	if len(got) != 1 || got["label_app_x"] != "2" {
		t.Errorf("labels %v", got)
	}
}

func TestAnAPIServerThatDoesNotAnswer(t *testing.T) {
	down := errors.New("down")
	c := fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return down },
	}).Build()
	registry := prometheus.NewRegistry()
	if err := Register(registry, c, kind()); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), "list thing: down") {
		t.Errorf("gathered with %v", err)
	}
}
