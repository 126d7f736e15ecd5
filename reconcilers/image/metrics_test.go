package image

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

func TestMetrics(t *testing.T) {
	ready := readyImage()
	cluster := &v1alpha2.ClusterVirtualImage{ObjectMeta: metav1.ObjectMeta{Name: "c", UID: "c1"}}
	cluster.Status.Phase = v1alpha2.ImageLost
	fresh := httpImage()
	fresh.Name, fresh.UID = "fresh", "u2"
	w := newWorld(t, ready, cluster, fresh)
	registry := prometheus.NewRegistry()
	for range 2 { // a second manager in the process takes the place of the first
		if err := register(registry, w.client); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, f := range families {
		if want := map[bool]int{true: 7, false: 2 * 8}[strings.Contains(f.GetName(), "cluster")]; len(f.Metric) != want {
			t.Errorf("%s has %d series", f.GetName(), len(f.Metric))
		}
		for _, m := range f.Metric {
			if m.GetGauge().GetValue() != 1 {
				continue
			}
			for _, l := range m.Label {
				got[f.GetName()] += l.GetName() + "=" + l.GetValue() + " "
			}
		}
	}
	want := map[string]string{
		"d8_virtualization_virtualimage_status_phase":        "name=debian namespace=team phase=Ready uid=u1 name=fresh namespace=team phase=Pending uid=u2 ",
		"d8_virtualization_clustervirtualimage_status_phase": "name=c phase=ImageLost uid=c1 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}
