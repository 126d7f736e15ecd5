package image

import (
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
	w := newWorld(t, ready, cluster)
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
		if len(f.Metric) != len(phases) {
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
		"d8_virtualization_virtualimage_status_phase":        "name=debian namespace=team phase=Ready uid=u1 ",
		"d8_virtualization_clustervirtualimage_status_phase": "name=c phase=ImageLost uid=c1 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
}
