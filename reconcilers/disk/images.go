package disk

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/image/lineage"
)

// imageFrom names an image that is being made from the disk; empty when none is.
func (e *engine) imageFrom(ctx context.Context, vd *v1alpha2.VirtualDisk) (string, error) {
	key := client.MatchingFields{imageIndex: client.ObjectKeyFromObject(vd).String()}
	var images v1alpha2.VirtualImageList
	if err := e.client.List(ctx, &images, client.InNamespace(vd.Namespace), key); err != nil {
		return "", fmt.Errorf("list images made from disk %s: %w", vd.Name, err)
	}
	for i := range images.Items {
		if lineage.Reads(&images.Items[i]) {
			return lineage.Name(client.ObjectKeyFromObject(&images.Items[i])), nil
		}
	}
	var cluster v1alpha2.ClusterVirtualImageList
	if err := e.client.List(ctx, &cluster, key); err != nil {
		return "", fmt.Errorf("list cluster images made from disk %s: %w", vd.Name, err)
	}
	for i := range cluster.Items {
		if lineage.Reads(&cluster.Items[i]) {
			return lineage.Name(client.ObjectKeyFromObject(&cluster.Items[i])), nil
		}
	}
	return "", nil
}

// diskOfImage names the disk that an image is made from, as namespace/name.
func diskOfImage(obj client.Object) []string {
	from, ok := lineage.Of(obj)
	if !ok || from.Kind != v1alpha2.ObjectRefVirtualDisk {
		return nil
	}
	return []string{from.Key.String()}
}

// diskToWake is the disk that an image is made from.
func diskToWake(_ context.Context, obj client.Object) []ctrl.Request {
	var requests []ctrl.Request
	for _, disk := range diskOfImage(obj) {
		namespace, name, _ := strings.Cut(disk, "/")
		requests = append(requests, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
	}
	return requests
}
