package install

import (
	"context"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/test/engine/await"
)

// workloads waits until all Deployments and DaemonSets of a namespace have what
// they ask for.
func (t tools) workloads(ctx context.Context, namespace string) error {
	return await.Until(ctx, "the pods in "+namespace, func(ctx context.Context) (bool, string) {
		deployments, err := t.client.AppsV1().Deployments(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		sets, err := t.client.AppsV1().DaemonSets(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		late := append(lateDeployments(deployments.Items), lateSets(sets.Items)...)
		if len(late) == 0 {
			return true, ""
		}
		return false, strings.Join(append(late, t.complaints(ctx, namespace)...), "; ")
	})
}

func lateDeployments(deployments []appsv1.Deployment) []string {
	var late []string
	for _, d := range deployments {
		wanted := int32(1)
		if d.Spec.Replicas != nil {
			wanted = *d.Spec.Replicas
		}
		if d.Status.ObservedGeneration < d.Generation || d.Status.AvailableReplicas < wanted {
			late = append(late, fmt.Sprintf("%s has %d of %d pods", d.Name, d.Status.AvailableReplicas, wanted))
		}
	}
	return late
}

func lateSets(sets []appsv1.DaemonSet) []string {
	var late []string
	for _, s := range sets {
		if s.Status.ObservedGeneration < s.Generation || s.Status.DesiredNumberScheduled == 0 ||
			s.Status.NumberAvailable < s.Status.DesiredNumberScheduled {
			late = append(late, fmt.Sprintf("%s is on %d of %d nodes", s.Name, s.Status.NumberAvailable, s.Status.DesiredNumberScheduled))
		}
	}
	return late
}

// complaints are what containers that wait or have ended say.
func (t tools) complaints(ctx context.Context, namespace string) []string {
	pods, err := t.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return []string{err.Error()}
	}
	var said []string
	for _, pod := range pods.Items {
		for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			if text := complaint(c); text != "" {
				said = append(said, pod.Name+"/"+c.Name+": "+text)
			}
		}
	}
	return said
}

func complaint(c corev1.ContainerStatus) string {
	if last := c.LastTerminationState.Terminated; last != nil {
		return fmt.Sprintf("ended with %d: %s %s", last.ExitCode, last.Reason, last.Message)
	}
	if c.State.Waiting != nil && c.State.Waiting.Message != "" {
		return c.State.Waiting.Reason + ": " + c.State.Waiting.Message
	}
	return ""
}

// labeled waits until every node bears a label with the value.
func (t tools) labeled(ctx context.Context, label, value string) error {
	return await.Until(ctx, "label "+label+" on the nodes", func(ctx context.Context) (bool, string) {
		nodes, err := t.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		for _, n := range nodes.Items {
			if n.Labels[label] != value {
				return false, fmt.Sprintf("%s has %q", n.Name, n.Labels[label])
			}
		}
		return len(nodes.Items) > 0, "no nodes"
	})
}

// served waits until an API group of an aggregated server answers.
func (t tools) served(ctx context.Context, path string) error {
	return await.Until(ctx, path, func(ctx context.Context) (bool, string) {
		text, err := t.client.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx)
		if err != nil {
			return false, fmt.Sprintf("%v: %s", err, text)
		}
		return true, ""
	})
}
