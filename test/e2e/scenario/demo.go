package scenario

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/test/e2e/compare"
)

const (
	// Namespace is where the demo runs.
	Namespace = "demo"
	// Patience is how long a healthy platform may take for what it does within seconds, on a busy machine. Only a test that
	// fails uses it up.
	Patience = 5 * time.Minute
	// BootTime is how long a guest may take under software emulation on a busy machine.
	BootTime = 2 * Patience

	pollEvery = 200 * time.Millisecond
)

// Demo is the demo on an engine, as a user and an operator reach it.
type Demo struct {
	Client client.WithWatch
	// Repository is the user's clone of what Environment demo applies.
	Repository Repository
	// Run runs a command in machine web once.
	Run func(ctx context.Context, command string) (string, error)
	// Expose returns the URL at which the platform reaches a web server of the test's own.
	Expose func(t *testing.T, url string) string
	// KillControllers ends them with SIGKILL; Recover returns when they are at work again.
	KillControllers, Recover func(t *testing.T)
	// Verdict judges what the engine writes of a machine; nil where nobody knows what that has to be.
	Verdict compare.Verdict
}

// Key names an object of the demo.
func Key(name string) client.ObjectKey { return client.ObjectKey{Namespace: Namespace, Name: name} }

// Eventually repeats a check until it has no error, and fails the test with the last one when the time is up.
func Eventually(t *testing.T, within time.Duration, what string, check func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), pollEvery, within, true, func(ctx context.Context) (bool, error) {
		if err := check(ctx); err == nil || ctx.Err() == nil {
			last = err
		}
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("not within %s: %s: %v", within, what, last)
	}
}

// Must fails the test where there is an error.
func Must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Environment reads Environment demo.
func (d *Demo) Environment(ctx context.Context) (*v1alpha1.Environment, error) {
	return read(ctx, d.Client, "demo", &v1alpha1.Environment{})
}

// Machine reads machine web.
func (d *Demo) Machine(ctx context.Context) (*v1alpha2.VirtualMachine, error) {
	return read(ctx, d.Client, "web", &v1alpha2.VirtualMachine{})
}

// Disk reads the disk of machine web.
func (d *Demo) Disk(ctx context.Context) (*v1alpha2.VirtualDisk, error) {
	return read(ctx, d.Client, "web-root", &v1alpha2.VirtualDisk{})
}

func read[O client.Object](ctx context.Context, from client.Reader, name string, into O) (O, error) {
	if err := from.Get(ctx, Key(name), into); err != nil {
		return into, fmt.Errorf("read %T %s: %w", into, name, err)
	}
	return into, nil
}

// HealthyAt waits until the Environment is ready at a commit; any when empty.
func (d *Demo) HealthyAt(t *testing.T, commit string) {
	t.Helper()
	Eventually(t, BootTime, "Environment demo is ready at "+commit, func(ctx context.Context) error {
		env, err := d.Environment(ctx)
		if err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(env.Status.Conditions, v1alpha1.ReadyCondition) || !strings.HasSuffix(env.Status.LastAppliedRevision, commit) {
			return fmt.Errorf("at %s: %+v, health %+v", env.Status.LastAppliedRevision, env.Status.Conditions, env.Status.Health)
		}
		return nil
	})
}

// Guest runs a command in machine web as soon as it answers.
func (d *Demo) Guest(t *testing.T, command string) string {
	t.Helper()
	var out string
	Eventually(t, BootTime, "the guest runs "+command, func(ctx context.Context) (err error) {
		out, err = d.Run(ctx, command)
		return err
	})
	return out
}

// Boots is the guest's boot counter.
func (d *Demo) Boots(t *testing.T) string {
	t.Helper()
	return d.Guest(t, "sync && cat /data/boots") // or the counter that was read dies with the guest
}

// ImageReady waits until a VirtualImage is.
func (d *Demo) ImageReady(t *testing.T, name string) {
	t.Helper()
	Eventually(t, Patience, "VirtualImage "+name+" is ready", func(ctx context.Context) error {
		image := &v1alpha2.VirtualImage{}
		err := d.Client.Get(ctx, Key(name), image)
		if err == nil && image.Status.Phase != v1alpha2.ImageReady {
			err = fmt.Errorf("phase %s: %+v", image.Status.Phase, image.Status.Conditions)
		}
		return err
	})
}
