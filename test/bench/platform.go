package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/local/platform"
	"slipway.dev/slipway/reconcilers/setup"
)

// clockTick is USER_HZ, in which /proc counts CPU time.
const clockTick = 10 * time.Millisecond

// noops is how many unchanged reconciles are asked for.
const noops = 100

var demo = client.ObjectKey{Namespace: "demo", Name: "demo"}

// bench is one running platform under measurement.
type bench struct {
	dir    string
	layout platform.Layout
	client client.Client
	server kubernetes.Interface
	pid    int
}

func measurePlatform(ctx context.Context, dir string, pushes int) (figures []figure, err error) {
	b := &bench{dir: dir, layout: platform.Layout{Root: filepath.Join(dir, "data")}}
	process, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, process.Process.Signal(syscall.SIGINT), process.Wait())
	}()
	for _, measure := range []func(context.Context) ([]figure, error){
		b.firstBoot,
		func(ctx context.Context) ([]figure, error) { return b.pushes(ctx, pushes) },
		b.noop,
		b.memory,
	} {
		more, err := measure(ctx)
		if err != nil {
			return nil, err
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

func (b *bench) start(ctx context.Context) (*exec.Cmd, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv("SLIPWAY_BIN"), "slipway"), "up", "--demo", "--data-dir", b.layout.Root)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start slipway up: %w", err)
	}
	b.pid = cmd.Process.Pid
	err := until(ctx, 5*time.Minute, func(context.Context) error {
		_, err := platform.ReadReady(b.layout)
		return err
	})
	if err != nil {
		return nil, err
	}
	return cmd, b.connect()
}

func (b *bench) connect() error {
	config, err := clientcmd.BuildConfigFromFlags("", b.layout.Kubeconfig())
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	scheme, err := setup.Scheme()
	if err != nil {
		return err
	}
	if b.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if b.server, err = kubernetes.NewForConfig(config); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

// firstBoot is from the Environment's creation, which follows the first commit,
// to a guest that answers SSH.
func (b *bench) firstBoot(ctx context.Context) ([]figure, error) {
	env := &v1alpha1.Environment{}
	if err := b.client.Get(ctx, demo, env); err != nil {
		return nil, fmt.Errorf("get the Environment: %w", err)
	}
	err := until(ctx, 10*time.Minute, func(ctx context.Context) error {
		return b.slipway(ctx, "ssh", "web", "--timeout", "5s", "--", "true")
	})
	took := time.Since(env.CreationTimestamp.Time)
	return []figure{{Name: "push to guest answering SSH (import, disk and boot; accelerator tcg unless KVM was proved)", Value: took.Seconds(), Unit: "s"}}, err
}

// pushes measures from the start of git push to the revision applied.
func (b *bench) pushes(ctx context.Context, count int) ([]figure, error) {
	ready, err := platform.ReadReady(b.layout)
	if err != nil {
		return nil, err
	}
	clone := filepath.Join(b.dir, "clone")
	if err := command(ctx, "git", "clone", "--quiet", ready.GitURL, clone); err != nil {
		return nil, err
	}
	var all []time.Duration
	for i := range count {
		took, err := b.push(ctx, clone, i)
		if err != nil {
			return nil, err
		}
		all = append(all, took)
	}
	return []figure{{Name: "push to applied, p50", Value: median(all).Seconds(), Unit: "s", Target: "< 1"}}, nil
}

func (b *bench) push(ctx context.Context, clone string, i int) (time.Duration, error) {
	manifest := filepath.Join(clone, "settings.yaml")
	text := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  round: \"%d\"\n", i)
	if err := os.WriteFile(manifest, []byte(text), 0o644); err != nil {
		return 0, fmt.Errorf("write a change: %w", err)
	}
	for _, args := range [][]string{
		{"add", "."},
		{"-c", "user.name=bench", "-c", "user.email=bench@example.com", "commit", "--quiet", "-m", fmt.Sprint("Round ", i)},
	} {
		if err := command(ctx, "git", append([]string{"-C", clone}, args...)...); err != nil {
			return 0, err
		}
	}
	head, err := exec.CommandContext(ctx, "git", "-C", clone, "rev-parse", "HEAD").Output()
	if err != nil {
		return 0, fmt.Errorf("read the commit: %w", err)
	}
	return timed(func() error {
		if err := command(ctx, "git", "-C", clone, "push", "--quiet"); err != nil {
			return err
		}
		return b.applied(ctx, strings.TrimSpace(string(head)))
	})
}

func (b *bench) applied(ctx context.Context, commit string) error {
	return until(ctx, time.Minute, func(ctx context.Context) error {
		env := &v1alpha1.Environment{}
		if err := b.client.Get(ctx, demo, env); err != nil {
			return fmt.Errorf("get the Environment: %w", err)
		}
		if !strings.HasSuffix(env.Status.LastAppliedRevision, commit) {
			return fmt.Errorf("applied %s", env.Status.LastAppliedRevision)
		}
		return nil
	})
}

// noop asks again and again for an Environment in which nothing has changed.
// What the process does without being asked is measured first and taken off.
func (b *bench) noop(ctx context.Context) ([]figure, error) {
	if err := b.quiet(ctx); err != nil {
		return nil, err
	}
	started := time.Now()
	busy, err := b.spent(ctx, func() error { return b.askAll(ctx) })
	if err != nil {
		return nil, err
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
		return nil, err
	}
	// Each request is one write of this program.
	return []figure{
		{Name: "no-op reconcile, CPU", Value: (busy.cpu - idle.cpu).Seconds() * 1000 / noops, Unit: "ms", Target: "≤ 5"},
		{Name: "no-op reconcile, API writes", Value: (busy.writes-idle.writes)/noops - 1, Unit: "calls", Target: "≤ 1"},
		{Name: "no-op reconcile, API calls", Value: (busy.calls-idle.calls)/noops - 1, Unit: "calls"},
	}, nil
}

func (b *bench) quiet(ctx context.Context) error {
	return until(ctx, 2*time.Minute, func(ctx context.Context) error {
		env := &v1alpha1.Environment{}
		if err := b.client.Get(ctx, demo, env); err != nil {
			return fmt.Errorf("get the Environment: %w", err)
		}
		if !meta.IsStatusConditionTrue(env.Status.Conditions, v1alpha1.ReadyCondition) {
			return errors.New("the Environment is not ready")
		}
		return nil
	})
}

func (b *bench) askAll(ctx context.Context) error {
	for i := range noops {
		stamp := fmt.Sprint("bench-", i, "-", time.Now().UnixNano())
		env := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: demo.Namespace, Name: demo.Name}}
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RequestedAtAnnotation, stamp)
		if err := b.client.Patch(ctx, env, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		if err := b.handled(ctx, stamp); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) handled(ctx context.Context, stamp string) error {
	env := &v1alpha1.Environment{}
	return until(ctx, 30*time.Second, func(ctx context.Context) error {
		if err := b.client.Get(ctx, demo, env); err != nil {
			return fmt.Errorf("get the Environment: %w", err)
		}
		if env.Status.LastHandledReconcileAt != stamp {
			return errors.New("not handled yet")
		}
		return nil
	})
}

// spending is what a stretch of time cost.
type spending struct {
	cpu    time.Duration
	writes float64
	calls  float64
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
	return spending{cpu: after.cpu - before.cpu, writes: after.writes - before.writes, calls: after.calls - before.calls}, err
}

// counters reads the CPU time of the controller's process and the API server's
// own count of requests. Reads of this program are GETs of Environments; they
// are left out of the calls.
func (b *bench) counters(ctx context.Context) (spending, error) {
	cpu, err := cpuTime(b.pid)
	if err != nil {
		return spending{}, err
	}
	text, err := b.server.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(ctx)
	if err != nil {
		return spending{}, fmt.Errorf("read the API server's metrics: %w", err)
	}
	s := spending{cpu: cpu}
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

func (s *spending) count(line string) {
	labels, found := strings.CutPrefix(line, "apiserver_request_total{")
	if !found || strings.Contains(labels, `verb="WATCH"`) {
		return
	}
	value, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
	if err != nil {
		return
	}
	read := strings.Contains(labels, `verb="GET"`) || strings.Contains(labels, `verb="LIST"`)
	if !read {
		s.writes += value
	}
	if !read || !strings.Contains(labels, `resource="environments"`) {
		s.calls += value
	}
}

func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+2:]))
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	system, err := strconv.Atoi(fields[12])
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return time.Duration(user+system) * clockTick, nil
}

// memory reports the peak of every process of the platform.
func (b *bench) memory(context.Context) ([]figure, error) {
	resident, err := memoryOf(b.pid, "VmRSS:")
	if err != nil {
		return nil, err
	}
	peak, err := memoryOf(b.pid, "VmHWM:")
	if err != nil {
		return nil, err
	}
	figures := []figure{
		{Name: "resident memory of slipway (controllers, DVCR, Git, engine)", Value: resident, Unit: "MiB", Target: "< 150"},
		{Name: "peak memory of slipway, while it imported", Value: peak, Unit: "MiB"},
	}
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	for _, entry := range entries {
		line, err := os.ReadFile(entry)
		pid, convErr := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
		if err != nil || convErr != nil || pid == b.pid || !bytes.Contains(line, []byte(b.layout.Root)) {
			continue
		}
		peak, err := memoryOf(pid, "VmHWM:")
		if err != nil {
			continue
		}
		program, _, _ := bytes.Cut(line, []byte{0})
		figures = append(figures, figure{Name: "peak memory of " + filepath.Base(string(program)), Value: peak, Unit: "MiB"})
	}
	return figures, nil
}

// memoryOf reads a line of /proc/PID/status, in MiB.
func memoryOf(pid int, label string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("read memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, label); found {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			if err != nil {
				return 0, fmt.Errorf("parse %q: %w", line, err)
			}
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("process %d has no line %s", pid, label)
}

func (b *bench) slipway(ctx context.Context, args ...string) error {
	args = append([]string{"--data-dir", b.layout.Root}, args...)
	return command(ctx, filepath.Join(os.Getenv("SLIPWAY_BIN"), "slipway"), args...)
}

func until(ctx context.Context, within time.Duration, check func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 5*time.Millisecond, within, true, func(ctx context.Context) (bool, error) {
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil {
		return errors.Join(err, last)
	}
	return nil
}
