package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/local/platform"
	"slipway.dev/slipway/reconcilers/setup"
)

var demo = client.ObjectKey{Namespace: "demo", Name: "demo"}

// bench is one running platform under measurement.
type bench struct {
	dir    string
	layout platform.Layout
	client client.WithWatch
	server kubernetes.Interface
	pid    int
}

// measurePlatform measures a platform that it starts, or one that runs already.
func measurePlatform(ctx context.Context, dir string, o options) (figures []figure, err error) {
	b := &bench{dir: dir, layout: platform.Layout{Root: filepath.Join(dir, "data")}}
	if o.attach != "" {
		b.layout.Root = o.attach
		return b.measure(ctx, o, b.attach)
	}
	process, err := b.start(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, process.Process.Signal(syscall.SIGINT), process.Wait())
	}()
	return b.measure(ctx, o, b.firstBoot)
}

// measure takes the figures of all groups that were asked for. Each but the boot
// needs a platform that has settled.
func (b *bench) measure(ctx context.Context, o options, begin func(context.Context) ([]figure, error)) ([]figure, error) {
	figures, err := begin(ctx)
	if err != nil {
		return nil, err
	}
	for _, group := range []struct {
		name    string
		measure func(context.Context, options) ([]figure, error)
	}{{groupPush, b.pushes}, {groupNoop, b.noop}, {groupMemory, b.memory}} {
		if !o.wants(group.name) {
			continue
		}
		more, err := group.measure(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", group.name, err)
		}
		figures = append(figures, more...)
	}
	return figures, nil
}

// attach takes the process that is named by a running platform.
func (b *bench) attach(context.Context) ([]figure, error) {
	ready, err := platform.ReadReady(b.layout)
	if err != nil {
		return nil, err
	}
	b.pid = ready.PID
	return nil, b.connect()
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
	config.QPS = -1 // what is measured is the platform, not this program's patience
	scheme, err := setup.Scheme()
	if err != nil {
		return err
	}
	if b.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
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
func (b *bench) pushes(ctx context.Context, o options) ([]figure, error) {
	ready, err := platform.ReadReady(b.layout)
	if err != nil {
		return nil, err
	}
	clone := filepath.Join(b.dir, "clone")
	if err := command(ctx, "git", "clone", "--quiet", ready.GitURL, clone); err != nil {
		return nil, err
	}
	var all []time.Duration
	for i := range o.pushes {
		took, err := b.push(ctx, clone, i)
		if err != nil {
			return nil, err
		}
		all = append(all, took)
	}
	return []figure{{Name: "push to applied, p50", Value: median(all).Seconds(), Unit: "s", Target: "< 1", How: fmt.Sprintf("median of %d; from the start of git push to status.lastAppliedRevision", o.pushes)}}, nil
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
