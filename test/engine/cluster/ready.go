package cluster

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"slipway.dev/slipway/test/engine/await"
)

// RESTConfig connects from the host.
func (l Layout) RESTConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", l.Kubeconfig())
	if err != nil {
		return nil, fmt.Errorf("read the engine's kubeconfig: %w", err)
	}
	// Bringing up is a burst of small requests.
	config.QPS, config.Burst = 200, 400
	return config, nil
}

func (l Layout) client() (*kubernetes.Clientset, error) {
	config, err := l.RESTConfig()
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client: %w", err)
	}
	return client, nil
}

func (r *run) awaitServer(ctx context.Context) error {
	client, err := r.layout.client()
	if err != nil {
		return err
	}
	return await.Until(ctx, "the API server", func(ctx context.Context) (bool, string) {
		text, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		if err != nil {
			return false, fmt.Sprintf("%v: %s", err, text)
		}
		return true, "ready"
	})
}

func (r *run) awaitNodes(ctx context.Context) error {
	client, err := r.layout.client()
	if err != nil {
		return err
	}
	return await.Until(ctx, "the nodes", func(ctx context.Context) (bool, string) {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		ready, answer := countReady(nodes.Items)
		return ready == len(r.plan.Nodes), answer
	})
}

// countReady says how many nodes are, and why the others are not.
func countReady(nodes []corev1.Node) (ready int, answer string) {
	for _, n := range nodes {
		for _, condition := range n.Status.Conditions {
			if condition.Type != corev1.NodeReady {
				continue
			}
			if condition.Status == corev1.ConditionTrue {
				ready++
			} else {
				answer += fmt.Sprintf("%s: %s; ", n.Name, condition.Message)
			}
		}
	}
	return ready, fmt.Sprintf("%d of %d registered nodes are ready; %s", ready, len(nodes), answer)
}

func (r *run) awaitDNS(ctx context.Context) error {
	client, err := r.layout.client()
	if err != nil {
		return err
	}
	return await.Until(ctx, "the name server", func(ctx context.Context) (bool, string) {
		d, err := client.AppsV1().Deployments(dnsNamespace).Get(ctx, dnsName, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		return available(d), fmt.Sprintf("%d of %d replicas are available", d.Status.AvailableReplicas, d.Status.Replicas)
	})
}

func available(d *appsv1.Deployment) bool {
	return d.Status.ObservedGeneration >= d.Generation && d.Status.AvailableReplicas > 0 && d.Status.AvailableReplicas == d.Status.Replicas
}
