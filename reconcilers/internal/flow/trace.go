package flow

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// tracerName is the instrumentation scope of the spans.
const tracerName = "slipway.dev/slipway/reconcilers"

// tracer makes a span for each run of a controller and one within it for each
// step.
type tracer struct {
	trace.Tracer
	controller string
}

// newTracer uses the process's tracer provider, which records nothing until the
// binary sets one, where none is given.
func newTracer(provider trace.TracerProvider, controller string) tracer {
	if provider == nil {
		provider = otel.GetTracerProvider()
	}
	return tracer{Tracer: provider.Tracer(tracerName), controller: controller}
}

// run begins the span of one reconcile of an object.
func (t tracer) run(ctx context.Context, key client.ObjectKey) (context.Context, trace.Span) {
	return t.Start(ctx, t.controller, trace.WithAttributes(
		attribute.String("k8s.namespace.name", key.Namespace),
		attribute.String("slipway.object.name", key.Name),
	))
}

// step runs a step within a span that tells how it came out.
func (t tracer) step(ctx context.Context, name string, do func(ctx context.Context) Outcome) Outcome {
	ctx, span := t.Start(ctx, name)
	defer span.End()
	outcome := do(ctx)
	if outcome.IsDone() || !span.IsRecording() {
		return outcome
	}
	span.SetAttributes(
		attribute.String("slipway.outcome", outcome.String()),
		attribute.String("slipway.reason", outcome.Reason()),
	)
	if outcome.IsFailed() {
		span.SetStatus(codes.Error, outcome.Message())
	}
	return outcome
}
