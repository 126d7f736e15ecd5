// Package tracing sends the spans of this process where OpenTelemetry's standard
// environment variables say, and nowhere when they say nothing.
//
// In comes the environment (OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_ENDPOINT,
// OTEL_TRACES_SAMPLER and the rest of the specification), out goes the process's
// tracer provider. It never makes a span itself.
package tracing

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.26.0"

	"slipway.dev/slipway/internal/version"
)

// asks are the variables of which one must be set before anything is sent.
var asks = []string{"OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"}

// Start sets the tracer provider of a service. What it returns sends the spans
// that are left and must be called at the end. It fails when the environment asks
// for an exporter that does not exist.
func Start(ctx context.Context, service string) (stop func(context.Context) error, err error) {
	if !asked() {
		return func(context.Context) error { return nil }, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("start tracing as OTEL_TRACES_EXPORTER=%s and its fellows say: %w", os.Getenv("OTEL_TRACES_EXPORTER"), err)
	}
	about, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceVersion(version.Version)),
		resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("describe the process for tracing: %w", err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(exporter), trace.WithResource(about))
	otel.SetTracerProvider(provider)
	return provider.Shutdown, nil
}

func asked() bool {
	for _, name := range asks {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return false
}
