package cluster

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Status is what is up at the moment.
type Status struct {
	// Version of Kubernetes.
	Version string `json:"version"`
	// Server is the API server's URL on the host, and Kubeconfig the file to use.
	Server     string `json:"server"`
	Kubeconfig string `json:"kubeconfig"`
	// Components that were installed.
	Components []string `json:"components"`
	// Nodes in their order.
	Nodes []NodeStatus `json:"nodes"`
}

// NodeStatus is one node.
type NodeStatus struct {
	Name string `json:"name"`
	// Ready as kubelet says.
	Ready bool `json:"ready"`
	// Pods on the node that have not ended, and those of them that are ready.
	Pods      int `json:"pods"`
	PodsReady int `json:"podsReady"`
	// Processes in the node's control groups.
	Processes int `json:"processes"`
}

// Status asks the nodes and the API server.
func (l Layout) Status(ctx context.Context) (Status, error) {
	state, err := l.ReadState()
	if err != nil {
		return Status{}, err
	}
	status := Status{Server: state.Server, Kubeconfig: l.Kubeconfig(), Components: state.Components}
	for _, name := range state.Nodes {
		if _, err := l.Process(name); err != nil {
			return Status{}, err
		}
	}
	client, err := l.client()
	if err != nil {
		return Status{}, err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return Status{}, fmt.Errorf("ask the API server for its version: %w", err)
	}
	status.Version = version.GitVersion
	nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return Status{}, fmt.Errorf("list nodes: %w", err)
	}
	pods, err := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return Status{}, fmt.Errorf("list pods: %w", err)
	}
	group, err := l.group()
	if err != nil {
		return Status{}, err
	}
	for _, name := range state.Nodes {
		processes, err := group.Child(name).Processes()
		if err != nil {
			return Status{}, fmt.Errorf("count processes of %s: %w", name, err)
		}
		n := nodeStatus(name, nodes.Items, pods.Items)
		n.Processes = len(processes)
		status.Nodes = append(status.Nodes, n)
	}
	return status, nil
}

func nodeStatus(name string, nodes []corev1.Node, pods []corev1.Pod) NodeStatus {
	status := NodeStatus{Name: name}
	for _, n := range nodes {
		if n.Name == name {
			ready, _ := countReady([]corev1.Node{n})
			status.Ready = ready == 1
		}
	}
	for _, p := range pods {
		if p.Spec.NodeName != name || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
			continue
		}
		status.Pods++
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				status.PodsReady++
			}
		}
	}
	return status
}
