package lazylog

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	ctrlzap "sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// counter is a sink that tells how often it was given values.
type counter struct {
	logr.LogSink
	given *int
}

func (c counter) WithValues(keysAndValues ...any) logr.LogSink {
	*c.given++
	return counter{c.LogSink.WithValues(keysAndValues...), c.given}
}

// TestSameLines: what is written is what the base would have written, with the place it was written at.
func TestSameLines(t *testing.T) {
	var direct, lazy bytes.Buffer
	write := func(l logr.Logger) {
		child := l.WithName("disk").WithValues("step", "plan", "object", "a").WithName("inner")
		other := child.WithValues("more", 1)
		child.Info("one", "key", "value")
		other.Error(errors.New("no"), "two")
		child.V(1).Info("not shown")
		l.WithValues().Info("three")
		l.WithCallDepth(0).Info("four")
	}
	config := zap.NewProductionEncoderConfig()
	config.TimeKey = ""
	for out, wrap := range map[*bytes.Buffer]func(logr.Logger) logr.Logger{&direct: func(l logr.Logger) logr.Logger { return l }, &lazy: Wrap} {
		write(wrap(ctrlzap.New(ctrlzap.WriteTo(out), ctrlzap.Encoder(zapcore.NewJSONEncoder(config)), ctrlzap.RawZapOpts(zap.AddCaller()))))
	}
	if diff := cmp.Diff(direct.String(), lazy.String()); diff != "" {
		t.Errorf("lines differ (-direct +lazy):\n%s", diff)
	}
	if lines := strings.Count(lazy.String(), "\n"); lines != 4 {
		t.Errorf("%d lines, want 4:\n%s", lines, lazy.String())
	}
}

// TestNothingIsGivenBeforeALine: values reach the base when a line is written, and not before.
func TestNothingIsGivenBeforeALine(t *testing.T) {
	var out bytes.Buffer
	given := 0
	base := ctrlzap.New(ctrlzap.WriteTo(&out))
	l := Wrap(base.WithSink(counter{base.GetSink(), &given}))
	for range 100 {
		l.WithValues("step", "plan").V(1).Info("not shown")
	}
	if given != 0 {
		t.Errorf("values were given %d times for no line", given)
	}
	l.WithValues("step", "plan").Info("shown")
	if given != 1 || !strings.Contains(out.String(), `"step":"plan"`) {
		t.Errorf("values were given %d times, want 1; line %q", given, out.String())
	}
}
