package snapshot

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/image/guard"
	"slipway.dev/slipway/reconcilers/image/lineage"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// findUsers sets users and keeps the protection finalizer while there are some.
func (e *engine) findUsers(ctx context.Context, s *scope) flow.Outcome {
	if err := e.listUsers(ctx, s); err != nil {
		return flow.Fail("UsersUnknown", err)
	}
	if err := guard.Keep(ctx, e.client, s.snapshot, finalizers.VirtualDiskSnapshotProtection, len(s.users) > 0); err != nil {
		return flow.Fail("NotProtected", err)
	}
	return flow.Done()
}

func (e *engine) listUsers(ctx context.Context, s *scope) error {
	var disks v1alpha2.VirtualDiskList
	key := client.MatchingFields{sourceIndex: s.snapshot.Name}
	if err := e.client.List(ctx, &disks, client.InNamespace(s.snapshot.Namespace), key); err != nil {
		return fmt.Errorf("list disks that are made from snapshot %s: %w", s.snapshot.Name, err)
	}
	for i := range disks.Items {
		if lineage.Fills(&disks.Items[i]) {
			s.users = append(s.users, "VirtualDisk "+disks.Items[i].Name)
		}
	}
	images, err := e.imagesOf(ctx, s)
	if err != nil {
		return fmt.Errorf("list images that are made from snapshot %s: %w", s.snapshot.Name, err)
	}
	for _, image := range images {
		if lineage.Reads(image) {
			s.users = append(s.users, lineage.Name(client.ObjectKeyFromObject(image)))
		}
	}
	return nil
}

// imagesOf are the images of both kinds that name the snapshot.
func (e *engine) imagesOf(ctx context.Context, s *scope) ([]client.Object, error) {
	key := client.MatchingFields{originIndex: client.ObjectKeyFromObject(s.snapshot).String()}
	var near v1alpha2.VirtualImageList
	if err := e.client.List(ctx, &near, client.InNamespace(s.snapshot.Namespace), key); err != nil {
		return nil, err //nolint:wrapcheck // the caller says of which snapshot
	}
	var cluster v1alpha2.ClusterVirtualImageList
	if err := e.client.List(ctx, &cluster, key); err != nil {
		return nil, err //nolint:wrapcheck // the caller says of which snapshot
	}
	var images []client.Object
	for i := range near.Items {
		images = append(images, &near.Items[i])
	}
	for i := range cluster.Items {
		images = append(images, &cluster.Items[i])
	}
	return images, nil
}

// awaitUsers lets the deletion on once nothing is made from the snapshot.
func (e *engine) awaitUsers(_ context.Context, s *scope) flow.Outcome {
	if len(s.users) > 0 {
		return flow.Wait("SnapshotInUse", 0, "being made from the snapshot: %s", strings.Join(s.users, ", "))
	}
	return flow.Done()
}
