package flow

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts and times the steps of every reconciler that shares it.
type Metrics struct {
	duration *prometheus.HistogramVec
}

// NewMetrics registers slipway_step_duration_seconds with labels controller,
// step and outcome (done, wait, stall, fail).
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "slipway_step_duration_seconds",
		Help:    "Time a reconcile step took, by controller, step and outcome.",
		Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
	}, []string{"controller", "step", "outcome"})
	if err := registry.Register(duration); err != nil {
		return nil, fmt.Errorf("register step metrics: %w", err)
	}
	return &Metrics{duration: duration}, nil
}

func (m *Metrics) observe(controller, step string, outcome Outcome, took time.Duration) {
	if m == nil {
		return
	}
	m.duration.WithLabelValues(controller, step, outcome.String()).Observe(took.Seconds())
}
