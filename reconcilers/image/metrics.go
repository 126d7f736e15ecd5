package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// clusterPhases are all that a ClusterVirtualImage can be in; a VirtualImage has a volume to lose, too.
var (
	clusterPhases = []v1alpha2.ImagePhase{
		v1alpha2.ImagePending, v1alpha2.ImageProvisioning, v1alpha2.ImageWaitForUserUpload, v1alpha2.ImageReady,
		v1alpha2.ImageFailed, v1alpha2.ImageTerminating, v1alpha2.ImageLost,
	}
	phases = append(slices.Clone(clusterPhases), v1alpha2.ImagePVCLost)
)

// collector tells the phase of every image: one series for each phase, 1 for
// the one that the image is in.
type collector struct {
	reader  client.Reader
	image   *prometheus.Desc
	cluster *prometheus.Desc
}

const collectTimeout = 10 * time.Second

// register has a registry tell the phases of the images that reader sees, in
// place of those that an earlier manager's reader saw.
func register(registry prometheus.Registerer, reader client.Reader) error {
	c := &collector{
		reader: reader,
		image: prometheus.NewDesc("d8_virtualization_virtualimage_status_phase", "The phase of a VirtualImage.",
			[]string{"name", "namespace", "uid", "phase"}, nil),
		cluster: prometheus.NewDesc("d8_virtualization_clustervirtualimage_status_phase", "The phase of a ClusterVirtualImage.",
			[]string{"name", "uid", "phase"}, nil),
	}
	err := registry.Register(c)
	var before prometheus.AlreadyRegisteredError
	if errors.As(err, &before) {
		registry.Unregister(before.ExistingCollector)
		err = registry.Register(c)
	}
	if err != nil {
		return fmt.Errorf("register the metrics of images: %w", err)
	}
	return nil
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.image
	out <- c.cluster
}

// Collect implements prometheus.Collector. What cannot be read is left out.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), collectTimeout)
	defer cancel()
	var images v1alpha2.VirtualImageList
	if err := c.reader.List(ctx, &images); err == nil {
		for i := range images.Items {
			o := &images.Items[i]
			emit(out, c.image, phases, o.Status.Phase, o.Name, o.Namespace, string(o.UID))
		}
	}
	var clusters v1alpha2.ClusterVirtualImageList
	if err := c.reader.List(ctx, &clusters); err == nil {
		for i := range clusters.Items {
			o := &clusters.Items[i]
			emit(out, c.cluster, clusterPhases, o.Status.Phase, o.Name, string(o.UID))
		}
	}
}

// emit tells a series for each phase; an image without one is pending.
func emit(out chan<- prometheus.Metric, desc *prometheus.Desc, all []v1alpha2.ImagePhase, now v1alpha2.ImagePhase, labels ...string) {
	now = cmp.Or(now, v1alpha2.ImagePending)
	for _, phase := range all {
		value := 0.0
		if phase == now {
			value = 1
		}
		values := append(append([]string{}, labels...), string(phase))
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, values...)
	}
}
