package image

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/image/guard"
	"slipway.dev/slipway/reconcilers/image/lineage"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// users are the objects that need the image's content right now.
type users struct {
	known    bool
	machines []types.NamespacedName
	disks    []types.NamespacedName
	// images are those that are being made from it; a cluster image has no namespace.
	images []types.NamespacedName
}

func (u users) any() bool { return len(u.machines)+len(u.disks)+len(u.images) > 0 }

// namespaces are those of all users, each once, in order.
func (u users) namespaces() []string {
	var names []string
	for _, user := range slices.Concat(u.machines, u.disks, u.images) {
		if user.Namespace != "" {
			names = append(names, user.Namespace)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// String names the users for a message.
func (u users) String() string {
	var names []string
	for _, m := range u.machines {
		names = append(names, "VirtualMachine "+m.String())
	}
	for _, d := range u.disks {
		names = append(names, "VirtualDisk "+d.String())
	}
	for _, i := range u.images {
		names = append(names, lineage.Name(i))
	}
	const most = 5
	if len(names) > most {
		names = append(names[:most], fmt.Sprintf("%d more", len(names)-most))
	}
	return strings.Join(names, ", ")
}

// findUsers sets users and keeps the protection finalizer while there are some.
func (e *engine) findUsers(ctx context.Context, s *scope) flow.Outcome {
	found, err := e.listUsers(ctx, s)
	if err != nil {
		return flow.Fail("UsersUnknown", err)
	}
	s.users = found
	if err := guard.Keep(ctx, e.client, s.object, s.traits.protection, found.any()); err != nil {
		return flow.Fail("NotProtected", err)
	}
	return flow.Done()
}

func (e *engine) listUsers(ctx context.Context, s *scope) (found users, err error) {
	found = users{known: true}
	key := client.MatchingFields{userIndex: refKey(s.traits.kind, s.object.GetNamespace(), s.object.GetName())}
	var machines v1alpha2.VirtualMachineList
	if err := e.client.List(ctx, &machines, client.InNamespace(s.object.GetNamespace()), key); err != nil {
		return users{}, fmt.Errorf("list machines that use %s: %w", s.artifact, err)
	}
	for i := range machines.Items {
		if holdsImages(&machines.Items[i]) {
			found.machines = append(found.machines, client.ObjectKeyFromObject(&machines.Items[i]))
		}
	}
	var disks v1alpha2.VirtualDiskList
	if err := e.client.List(ctx, &disks, client.InNamespace(s.object.GetNamespace()), key); err != nil {
		return users{}, fmt.Errorf("list disks that are made from %s: %w", s.artifact, err)
	}
	for i := range disks.Items {
		if lineage.Fills(&disks.Items[i]) {
			found.disks = append(found.disks, client.ObjectKeyFromObject(&disks.Items[i]))
		}
	}
	if found.images, err = e.listMade(ctx, s); err != nil {
		return users{}, err
	}
	return found, nil
}

// listMade lists the images that are being made from this one.
func (e *engine) listMade(ctx context.Context, s *scope) ([]types.NamespacedName, error) {
	key := client.MatchingFields{originIndex: refKey(s.traits.kind, s.object.GetNamespace(), s.object.GetName())}
	var made []types.NamespacedName
	for _, list := range []client.ObjectList{&v1alpha2.VirtualImageList{}, &v1alpha2.ClusterVirtualImageList{}} {
		if err := e.client.List(ctx, list, key); err != nil {
			return nil, fmt.Errorf("list images that are made from %s: %w", s.artifact, err)
		}
		for _, o := range objectsOf(list) {
			if lineage.Reads(o) {
				made = append(made, client.ObjectKeyFromObject(o))
			}
		}
	}
	return made, nil
}

// holdsImages tells whether a machine has its images attached: it is not off,
// nor waiting to be started.
func holdsImages(vm *v1alpha2.VirtualMachine) bool {
	switch vm.Status.Phase {
	case "", v1alpha2.MachinePending, v1alpha2.MachineStopped:
		return false
	default:
		return true
	}
}

// userIndex is the field under which the cache finds machines and disks by the
// images they refer to; its values are made by refKey.
const userIndex = "image.users"

// refKey names an image in userIndex; a cluster-wide one has no namespace.
func refKey(kind, namespace, name string) string {
	if kind == v1alpha2.ClusterVirtualImageKind {
		namespace = ""
	}
	return kind + "/" + namespace + "/" + name
}

// originIndex is the field under which the cache finds images by the object that
// they are made from; its values are made by refKey.
const originIndex = "image.origin"

// originsOf are the keys of the object that an image is made from.
func originsOf(obj client.Object) []string {
	from, ok := lineage.Of(obj)
	if !ok {
		return nil
	}
	return []string{refKey(string(from.Kind), from.Key.Namespace, from.Key.Name)}
}

func imagesOfMachine(obj client.Object) []string {
	vm, ok := obj.(*v1alpha2.VirtualMachine)
	if !ok {
		return nil
	}
	var keys []string
	for _, ref := range vm.Spec.BlockDeviceRefs {
		if ref.Kind != v1alpha2.DiskDevice {
			keys = append(keys, refKey(string(ref.Kind), vm.Namespace, ref.Name))
		}
	}
	return keys
}

func imageOfDisk(obj client.Object) []string {
	vd, ok := obj.(*v1alpha2.VirtualDisk)
	if !ok || vd.Spec.DataSource == nil || vd.Spec.DataSource.ObjectRef == nil {
		return nil
	}
	ref := vd.Spec.DataSource.ObjectRef
	return []string{refKey(string(ref.Kind), vd.Namespace, ref.Name)}
}
