package census

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// prefix begins the names of all metrics.
const prefix = "d8_virtualization_"

// patience bounds one look at all objects.
const patience = 10 * time.Second

// Kind is what is counted of the objects of one kind.
type Kind struct {
	// Name is the kind's part of the metrics' names, such as virtualdisk.
	Name string
	// List makes an empty list to read into.
	List func() client.ObjectList
	// Tell tells the metrics of one object.
	Tell func(obj client.Object, t Teller)
}

// Register adds the collector of a kind to a registry; a nil registry takes none.
func Register(registry prometheus.Registerer, reader client.Reader, kind Kind) error {
	if registry == nil {
		return nil
	}
	if err := registry.Register(&collector{reader: reader, kind: kind}); err != nil {
		return fmt.Errorf("register metrics of %s: %w", kind.Name, err)
	}
	return nil
}

type collector struct {
	reader client.Reader
	kind   Kind
}

// Describe implements prometheus.Collector. It describes nothing: which labels
// there are is known when the objects are.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	list := c.kind.List()
	if err := c.reader.List(ctx, list); err != nil {
		err = fmt.Errorf("list %s: %w", c.kind.Name, err)
		ch <- prometheus.NewInvalidMetric(prometheus.NewInvalidDesc(err), err)
		return
	}
	_ = meta.EachListItem(list, func(o runtime.Object) error {
		if obj, ok := o.(client.Object); ok {
			c.kind.Tell(obj, Teller{kind: c.kind.Name, object: obj, out: ch})
		}
		return nil
	})
}

// Teller tells the metrics of one object.
type Teller struct {
	kind   string
	object client.Object
	out    chan<- prometheus.Metric
}

// Gauge tells one value. The labels come in addition to name, namespace and uid.
func (t Teller) Gauge(name, help string, value float64, labels map[string]string) {
	keys := append([]string{"name", "namespace", "uid"}, slices.Sorted(maps.Keys(labels))...)
	values := []string{t.object.GetName(), t.object.GetNamespace(), string(t.object.GetUID())}
	for _, key := range keys[len(values):] {
		values = append(values, labels[key])
	}
	desc := prometheus.NewDesc(prefix+t.kind+"_"+name, help, keys, nil)
	t.out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, values...)
}

// Phases tells status_phase: one series for each phase that the kind knows, of
// which the present one is 1. An object without a phase is pending.
func Phases[P ~string](t Teller, present P, all ...P) {
	if present == "" {
		present = "Pending"
	}
	for _, phase := range all {
		t.Gauge("status_phase", "The phase of the object.", Bit(phase == present), map[string]string{"phase": string(phase)})
	}
}

// Metadata tells labels and annotations, each as one series with a label for each
// key.
func (t Teller) Metadata() {
	t.Gauge("labels", "The object's labels.", 1, keyed("label_", t.object.GetLabels()))
	t.Gauge("annotations", "The object's annotations.", 1, keyed("annotation_", t.object.GetAnnotations()))
}

// keyed makes names of labels out of keys. Of keys that come out alike, the last
// in the alphabet counts.
func keyed(prefix string, values map[string]string) map[string]string {
	out := map[string]string{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		out[prefix+strings.Map(plain, key)] = values[key]
	}
	return out
}

func plain(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' {
		return r
	}
	return '_'
}

// Bit is 1 for true.
func Bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
