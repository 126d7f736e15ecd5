package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/local/platform"
)

// waitHealthy waits until the platform's Environment is healthy, or a part of the
// platform ends.
func waitHealthy(ctx context.Context, out io.Writer, p *platform.Platform, timeout time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-p.Failed():
			cancel(err)
		case <-ctx.Done():
		}
	}()
	c := &connection{WithWatch: p.Client(), namespace: p.Ready().Namespace}
	return waitEnvironment(ctx, out, c, p.Ready(), timeout)
}

// waitEnvironment watches an Environment until it is ready or cannot become so,
// and prints each reason when it is not.
func waitEnvironment(ctx context.Context, out io.Writer, c *connection, r platform.Ready, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	watcher, err := c.Watch(ctx, &v1alpha1.EnvironmentList{}, &client.ListOptions{
		Namespace:     r.Namespace,
		FieldSelector: fields.OneTermEqualSelector("metadata.name", r.Environment),
	})
	if err != nil {
		return fmt.Errorf("watch Environment %s: %w", r.Environment, err)
	}
	defer watcher.Stop()
	env := &v1alpha1.Environment{}
	for {
		select {
		case event, open := <-watcher.ResultChan():
			if !open {
				return errors.Join(fmt.Errorf("watch Environment %s: closed", r.Environment), ctx.Err())
			}
			if current, ok := event.Object.(*v1alpha1.Environment); ok {
				env = current
			}
			if settled, err := settledHealth(out, env); settled {
				return err
			}
		case <-ctx.Done():
			if cause := context.Cause(ctx); !errors.Is(cause, context.DeadlineExceeded) {
				return fmt.Errorf("wait for Environment %s: %w", r.Environment, cause)
			}
			fmt.Fprintf(out, "Not healthy after %s:\n", timeout)
			writeProblems(out, env)
			return errUnhealthy
		}
	}
}

// settledHealth tells whether an Environment has reached an end: ready, stalled
// or degraded.
func settledHealth(out io.Writer, env *v1alpha1.Environment) (bool, error) {
	conditions := env.Status.Conditions
	switch ready := meta.FindStatusCondition(conditions, v1alpha1.ReadyCondition); {
	case ready == nil || ready.ObservedGeneration != env.Generation:
		return false, nil
	case ready.Status == metav1.ConditionTrue:
		fmt.Fprintf(out, "Healthy: %s of Environment %s at %s.\n", healthCounts(env), env.Name, shortRevision(env.Status.LastAppliedRevision))
		return true, nil
	case meta.IsStatusConditionTrue(conditions, v1alpha1.StalledCondition), ready.Reason == v1alpha1.DegradedReason:
		writeProblems(out, env)
		return true, errUnhealthy
	default:
		return false, nil
	}
}

func writeProblems(out io.Writer, env *v1alpha1.Environment) {
	if ready := meta.FindStatusCondition(env.Status.Conditions, v1alpha1.ReadyCondition); ready != nil {
		fmt.Fprintf(out, "  Environment %s: %s: %s\n", env.Name, ready.Reason, ready.Message)
	} else {
		fmt.Fprintf(out, "  Environment %s: nothing is known of it yet\n", env.Name)
	}
	if env.Status.Health == nil {
		return
	}
	for _, p := range env.Status.Health.Problems {
		fmt.Fprintf(out, "  %s %s: %s: %s\n", p.Kind, p.Name, p.Reason, p.Message)
	}
}
