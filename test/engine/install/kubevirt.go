package install

import (
	"context"
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/test/engine/await"
	"slipway.dev/slipway/test/engine/kubevirt"
)

// What virt-handler says on a node that takes guests.
const (
	schedulable = "kubevirt.io/schedulable"
	tunnels     = corev1.ResourceName("devices.kubevirt.io/tun")
)

// KubeVirt installs it as it deploys itself, in pods.
var KubeVirt = Component{Name: "kubevirt", Install: installKubeVirt}

func installKubeVirt(ctx context.Context, target Target) error {
	t, err := target.tools()
	if err != nil {
		return err
	}
	generator, ok := t.Binaries[kubevirt.Generator]
	if !ok {
		return fmt.Errorf("generate KubeVirt's objects: %s was not built", kubevirt.Generator)
	}
	stages, err := kubevirt.Manifests(ctx, generator, filepath.Join(t.Dir, "kubevirt"), kubevirt.Plan{Shape: kubevirt.Pods})
	if err != nil {
		return err
	}
	t.Report("KubeVirt")
	err = t.apply(ctx, stages, judged{
		by: kubevirt.Webhooks, namespace: kubevirt.Namespace, path: "/apis/subresources.kubevirt.io/v1",
	})
	if err != nil {
		return err
	}
	t.Report("nodes ready for guests")
	if err := t.labeled(ctx, schedulable, "true"); err != nil {
		return err
	}
	return t.offered(ctx, tunnels)
}

// offered waits until every node has some of a resource.
func (t tools) offered(ctx context.Context, resource corev1.ResourceName) error {
	return await.Until(ctx, string(resource)+" on the nodes", func(ctx context.Context) (bool, string) {
		nodes, err := t.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		for _, n := range nodes.Items {
			if quantity := n.Status.Allocatable[resource]; quantity.IsZero() {
				return false, n.Name + " has none"
			}
		}
		return len(nodes.Items) > 0, "no nodes"
	})
}
