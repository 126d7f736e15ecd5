package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// noopHow says how the figures of unchanged reconciles come about.
const noopHow = "median of %d rounds; a round asks %d times for a run of the unchanged demo environment, one after the other, each by an annotation and until its status says so, " +
	"then leaves the platform alone for as long as that took; the figure is (asked − left alone) ÷ %d of the CPU time of the whole process slipway up (controllers, DVCR, Git, engine, live table) " +
	"or of the API server's request counters, where the annotation itself, which the bench writes, is not counted"

// noop asks again and again for an Environment in which nothing has changed.
// What the process does without being asked is measured too and taken off.
func (b *bench) noop(ctx context.Context, o options) ([]figure, error) {
	if err := b.quiet(ctx); err != nil {
		return nil, err
	}
	var cpu, writes, calls, idle []float64
	for range o.rounds {
		each, alone, err := b.round(ctx, o.noops)
		if err != nil {
			return nil, err
		}
		cpu, writes, calls = append(cpu, each.cpu), append(writes, each.writes), append(calls, each.calls)
		idle = append(idle, alone.cpu)
	}
	how := fmt.Sprintf(noopHow, o.rounds, o.noops, o.noops)
	return []figure{
		{Name: "no-op reconcile, CPU", Value: middle(cpu), Unit: "ms", Target: "≤ 5", How: how},
		{Name: "no-op reconcile, API writes", Value: middle(writes), Unit: "calls", Target: "≤ 1"},
		{Name: "no-op reconcile, API calls", Value: middle(calls), Unit: "calls"},
		{Name: "slipway up left alone, CPU", Value: middle(idle), Unit: "ms per s"},
	}, nil
}

// round is the cost of one unchanged reconcile, and of one second without any.
func (b *bench) round(ctx context.Context, noops int) (each, alone spending, err error) {
	started := time.Now()
	busy, err := b.spent(ctx, func() error { return b.askAll(ctx, noops) })
	if err != nil {
		return spending{}, spending{}, err
	}
	took := time.Since(started)
	idle, err := b.spent(ctx, func() error {
		select {
		case <-time.After(took):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if err != nil {
		return spending{}, spending{}, err
	}
	each = busy.minus(idle).per(float64(noops))
	// Each request is one write of this program.
	each.writes, each.calls = each.writes-1, each.calls-1
	return each, idle.per(took.Seconds()), nil
}

// quiet waits until the demo is ready and a little longer, for what follows it.
func (b *bench) quiet(ctx context.Context) error {
	err := until(ctx, 10*time.Minute, func(ctx context.Context) error {
		env := &v1alpha1.Environment{}
		if err := b.client.Get(ctx, demo, env); err != nil {
			return fmt.Errorf("get the Environment: %w", err)
		}
		if !meta.IsStatusConditionTrue(env.Status.Conditions, v1alpha1.ReadyCondition) {
			return errors.New("the Environment is not ready")
		}
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case <-time.After(10 * time.Second):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for quiet: %w", ctx.Err())
	}
}

func (b *bench) askAll(ctx context.Context, noops int) error {
	watcher, err := b.client.Watch(ctx, &v1alpha1.EnvironmentList{}, &client.ListOptions{
		Namespace: demo.Namespace, FieldSelector: fields.OneTermEqualSelector("metadata.name", demo.Name),
	})
	if err != nil {
		return fmt.Errorf("watch the Environment: %w", err)
	}
	defer watcher.Stop()
	for i := range noops {
		stamp := fmt.Sprint("bench-", i, "-", time.Now().UnixNano())
		env := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: demo.Namespace, Name: demo.Name}}
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RequestedAtAnnotation, stamp)
		if err := b.client.Patch(ctx, env, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		if err := handled(watcher, stamp); err != nil {
			return err
		}
	}
	return nil
}

// handled waits until a request was answered in the status.
func handled(watcher watch.Interface, stamp string) error {
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	for {
		select {
		case event, open := <-watcher.ResultChan():
			if !open {
				return errors.New("the watch on the Environment ended")
			}
			if env, ok := event.Object.(*v1alpha1.Environment); ok && env.Status.LastHandledReconcileAt == stamp {
				return nil
			}
		case <-late.C:
			return fmt.Errorf("request %s was not handled in time", stamp)
		}
	}
}

// spending is what a stretch of time cost: CPU in milliseconds, and requests.
type spending struct {
	cpu    float64
	writes float64
	calls  float64
}

func (s spending) minus(o spending) spending {
	return spending{cpu: s.cpu - o.cpu, writes: s.writes - o.writes, calls: s.calls - o.calls}
}

func (s spending) per(n float64) spending {
	return spending{cpu: s.cpu / n, writes: s.writes / n, calls: s.calls / n}
}

func (b *bench) spent(ctx context.Context, do func() error) (spending, error) {
	before, err := b.counters(ctx)
	if err != nil {
		return spending{}, err
	}
	if err := do(); err != nil {
		return spending{}, err
	}
	after, err := b.counters(ctx)
	return after.minus(before), err
}

// counters reads the CPU time of the controller's process and the API server's
// own count of requests.
func (b *bench) counters(ctx context.Context) (spending, error) {
	cpu, err := cpuTime(b.pid)
	if err != nil {
		return spending{}, err
	}
	text, err := b.server.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return spending{}, fmt.Errorf("read the API server's metrics: %w", err)
	}
	s := spending{cpu: float64(cpu.Microseconds()) / 1000}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s.count(lines.Text())
	}
	if err := lines.Err(); err != nil {
		return spending{}, fmt.Errorf("read the API server's metrics: %w", err)
	}
	return s, nil
}

// count adds a line of the metrics. Watches are left out: they are opened once
// and counted when they end.
func (s *spending) count(line string) {
	labels, found := strings.CutPrefix(line, "apiserver_request_total{")
	if !found || strings.Contains(labels, `verb="WATCH"`) {
		return
	}
	value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
	if err != nil {
		return
	}
	s.calls += value
	if !strings.Contains(labels, `verb="GET"`) && !strings.Contains(labels, `verb="LIST"`) {
		s.writes += value
	}
}

func middle(all []float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
