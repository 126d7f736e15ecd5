package lazylog

import (
	"slices"

	"github.com/go-logr/logr"
)

// Wrap makes a logger that writes to the sink of base.
func Wrap(base logr.Logger) logr.Logger {
	return base.WithSink(&sink{base: base.GetSink()})
}

// addition is one call of WithName or WithValues; the latter has no name.
type addition struct {
	name   string
	values []any
	before *addition
}

// sink is immutable, as logr demands of With methods.
type sink struct {
	base  logr.LogSink
	added *addition
}

// Init implements logr.LogSink; the base was initialized by its own logger.
func (s *sink) Init(logr.RuntimeInfo) {}

// Enabled implements logr.LogSink.
func (s *sink) Enabled(level int) bool { return s.base.Enabled(level) }

// Info implements logr.LogSink.
func (s *sink) Info(level int, msg string, keysAndValues ...any) {
	s.full().Info(level, msg, keysAndValues...)
}

// Error implements logr.LogSink.
func (s *sink) Error(err error, msg string, keysAndValues ...any) {
	s.full().Error(err, msg, keysAndValues...)
}

// WithName implements logr.LogSink.
func (s *sink) WithName(name string) logr.LogSink {
	return &sink{base: s.base, added: &addition{name: name, before: s.added}}
}

// WithValues implements logr.LogSink.
func (s *sink) WithValues(keysAndValues ...any) logr.LogSink {
	return &sink{base: s.base, added: &addition{values: slices.Clone(keysAndValues), before: s.added}}
}

// WithCallDepth implements logr.CallDepthLogSink.
func (s *sink) WithCallDepth(depth int) logr.LogSink {
	return &sink{base: deeper(s.base, depth), added: s.added}
}

// full is the base with all that was added, in the order of the calls.
func (s *sink) full() logr.LogSink {
	var all []*addition
	for a := s.added; a != nil; a = a.before {
		all = append(all, a)
	}
	out := deeper(s.base, 1)
	for _, a := range slices.Backward(all) {
		if a.name != "" {
			out = out.WithName(a.name)
		} else {
			out = out.WithValues(a.values...)
		}
	}
	return out
}

func deeper(base logr.LogSink, depth int) logr.LogSink {
	if counts, ok := base.(logr.CallDepthLogSink); ok {
		return counts.WithCallDepth(depth)
	}
	return base
}
