package tracing_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace/noop"

	"slipway.dev/slipway/internal/tracing"
)

func TestStart(t *testing.T) {
	received := make(chan string, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		received <- r.URL.Path + " " + string(body)
	}))
	t.Cleanup(collector.Close)
	t.Cleanup(func() { otel.SetTracerProvider(noop.NewTracerProvider()) })
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")

	stop, err := tracing.Start(t.Context(), "slipway-test")
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "boots")
	span.End()
	if err := stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := <-received
	for _, want := range []string{"/v1/traces", "slipway-test", "boots"} {
		if !strings.Contains(got, want) {
			t.Errorf("the collector received %q, without %q", got, want)
		}
	}
}

func TestStartSilent(t *testing.T) {
	before := otel.GetTracerProvider()
	stop, err := tracing.Start(t.Context(), "slipway-test")
	if err != nil {
		t.Fatal(err)
	}
	if otel.GetTracerProvider() != before {
		t.Error("a tracer provider was set although nobody asked")
	}
	if err := stop(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStartUnknownExporter(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "pigeon")
	if _, err := tracing.Start(t.Context(), "slipway-test"); err == nil || !strings.Contains(err.Error(), "pigeon") {
		t.Errorf("an exporter that does not exist: %v", err)
	}
}
