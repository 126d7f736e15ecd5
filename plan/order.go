package plan

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// CycleError says that objects refer to each other in a ring.
type CycleError struct {
	// Ring of keys; the last refers to the first.
	Ring []Key
	ref  v1alpha1.ObjectReference
}

// Error names the ring.
func (e *CycleError) Error() string {
	names := make([]string, 0, len(e.Ring)+1)
	for _, key := range append(e.Ring, e.Ring[0]) {
		names = append(names, key.String())
	}
	return "objects refer to each other in a ring: " + strings.Join(names, " → ") + "; remove one of the references"
}

// First is an object of the ring.
func (e *CycleError) First() v1alpha1.ObjectReference { return e.ref }

// ranks order objects that do not refer to each other.
var ranks = map[schema.GroupKind]int{
	{Group: extensions, Kind: "CustomResourceDefinition"}: 1,
	{Kind: "Namespace"}:                                                             2,
	{Kind: "ResourceQuota"}:                                                         3,
	{Kind: "LimitRange"}:                                                            3,
	{Kind: "ServiceAccount"}:                                                        4,
	{Group: rbac, Kind: "ClusterRole"}:                                              5,
	{Group: rbac, Kind: "Role"}:                                                     5,
	{Group: rbac, Kind: "ClusterRoleBinding"}:                                       6,
	{Group: rbac, Kind: "RoleBinding"}:                                              6,
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                                 7,
	{Kind: "ConfigMap"}:                                                             8,
	{Kind: "Secret"}:                                                                8,
	{Group: virtualization, Kind: "VirtualMachineClass"}:                            9,
	{Kind: "PersistentVolumeClaim"}:                                                 10,
	{Group: virtualization, Kind: "ClusterVirtualImage"}:                            11,
	{Group: virtualization, Kind: "VirtualImage"}:                                   12,
	{Group: virtualization, Kind: "VirtualDisk"}:                                    13,
	{Group: virtualization, Kind: "VirtualMachineIPAddress"}:                        14,
	{Group: virtualization, Kind: "VirtualMachineMACAddress"}:                       14,
	{Group: virtualization, Kind: "VirtualMachine"}:                                 20,
	{Group: virtualization, Kind: "VirtualMachineBlockDeviceAttachment"}:            21,
	{Group: virtualization, Kind: "VirtualDiskSnapshot"}:                            22,
	{Group: virtualization, Kind: "VirtualMachineSnapshot"}:                         23,
	{Group: virtualization, Kind: "VirtualMachineRestore"}:                          24,
	{Group: virtualization, Kind: "VirtualMachineSnapshotOperation"}:                24,
	{Group: virtualization, Kind: "VirtualMachineOperation"}:                        25,
	{Group: "admissionregistration.k8s.io", Kind: "MutatingWebhookConfiguration"}:   30,
	{Group: "admissionregistration.k8s.io", Kind: "ValidatingWebhookConfiguration"}: 30,
}

const defaultRank = 18

func rank(u *unstructured.Unstructured) int {
	if r, ok := ranks[u.GroupVersionKind().GroupKind()]; ok {
		return r
	}
	return defaultRank
}

func byRank(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	sorted := slices.Clone(objects)
	slices.SortStableFunc(sorted, compareRank)
	return sorted
}

func compareRank(a, b *unstructured.Unstructured) int {
	return cmp.Or(rank(a)-rank(b), Compare(KeyOf(a), KeyOf(b)))
}

// Order sorts objects so that each comes after those it refers to: a machine
// after its class, disks and addresses, a disk after its image. Objects that do
// not refer to each other keep the usual order of kinds. The order depends on
// nothing but the objects.
func Order(objects []*unstructured.Unstructured) ([]*unstructured.Unstructured, *CycleError) {
	g := newGraph(byRank(objects))
	for _, u := range g.objects {
		if err := g.visit(u); err != nil {
			return nil, err
		}
	}
	return g.ordered, nil
}

type graph struct {
	objects []*unstructured.Unstructured
	byKey   map[Key]*unstructured.Unstructured
	state   map[Key]visitState
	path    []Key
	ordered []*unstructured.Unstructured
}

type visitState int

const (
	unvisited visitState = iota
	onPath
	visited
)

func newGraph(objects []*unstructured.Unstructured) *graph {
	g := &graph{objects: objects, byKey: make(map[Key]*unstructured.Unstructured, len(objects)), state: map[Key]visitState{}}
	for _, u := range objects {
		g.byKey[KeyOf(u)] = u
	}
	return g
}

// visit puts an object behind all that it refers to.
func (g *graph) visit(u *unstructured.Unstructured) *CycleError {
	key := KeyOf(u)
	switch g.state[key] {
	case visited:
		return nil
	case onPath:
		ring := slices.Clone(g.path[slices.Index(g.path, key):])
		return &CycleError{Ring: ring, ref: ReferenceOf(u)}
	}
	g.state[key] = onPath
	g.path = append(g.path, key)
	for _, target := range References(u) {
		if referred := g.byKey[target]; referred != nil && target != key {
			if err := g.visit(referred); err != nil {
				return err
			}
		}
	}
	g.path = g.path[:len(g.path)-1]
	g.state[key] = visited
	g.ordered = append(g.ordered, u)
	return nil
}
