package disk

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// imageFrom names an image that is being made from the disk; empty when none is.
func (e *engine) imageFrom(ctx context.Context, vd *v1alpha2.VirtualDisk) (string, error) {
	key := client.MatchingFields{imageIndex: client.ObjectKeyFromObject(vd).String()}
	var images v1alpha2.VirtualImageList
	if err := e.client.List(ctx, &images, client.InNamespace(vd.Namespace), key); err != nil {
		return "", fmt.Errorf("list images made from disk %s: %w", vd.Name, err)
	}
	for i := range images.Items {
		if images.Items[i].Status.Phase == v1alpha2.ImageProvisioning {
			return "VirtualImage " + images.Items[i].Name, nil
		}
	}
	var cluster v1alpha2.ClusterVirtualImageList
	if err := e.client.List(ctx, &cluster, key); err != nil {
		return "", fmt.Errorf("list cluster images made from disk %s: %w", vd.Name, err)
	}
	for i := range cluster.Items {
		if cluster.Items[i].Status.Phase == v1alpha2.ImageProvisioning {
			return "ClusterVirtualImage " + cluster.Items[i].Name, nil
		}
	}
	return "", nil
}

// diskOfImage names the disk that an image is made from, as namespace/name.
func diskOfImage(obj client.Object) []string {
	var disk types.NamespacedName
	switch image := obj.(type) {
	case *v1alpha2.VirtualImage:
		if ref := image.Spec.DataSource.ObjectRef; ref != nil && ref.Kind == v1alpha2.ObjectRefVirtualDisk {
			disk = types.NamespacedName{Namespace: image.Namespace, Name: ref.Name}
		}
	case *v1alpha2.ClusterVirtualImage:
		if ref := image.Spec.DataSource.ObjectRef; ref != nil && ref.Kind == v1alpha2.ObjectRefVirtualDisk {
			disk = types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
		}
	}
	if disk.Name == "" {
		return nil
	}
	return []string{disk.String()}
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
