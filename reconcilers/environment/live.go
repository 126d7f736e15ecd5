package environment

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
)

// liveReader reads one object, redacted; nil when it is not there. What it
// returns is shared and never changed.
type liveReader interface {
	read(ctx context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error)
}

// references lists what a plan has to know: what is desired, owned or kept.
func references(env *v1alpha1.Environment, desired rendered) []v1alpha1.ObjectReference {
	var refs []v1alpha1.ObjectReference
	seen := map[plan.Key]bool{}
	add := func(ref v1alpha1.ObjectReference) {
		if key := plan.KeyOfReference(ref); !seen[key] {
			seen[key] = true
			refs = append(refs, ref)
		}
	}
	for _, u := range desired.objects {
		add(plan.ReferenceOf(u))
	}
	for _, e := range env.Status.Inventory {
		add(e.ObjectReference)
	}
	for _, t := range env.Status.Tombstones {
		add(t.ObjectReference)
	}
	return refs
}

// gather reads the objects that exist.
func gather(ctx context.Context, reader liveReader, refs []v1alpha1.ObjectReference) ([]*unstructured.Unstructured, error) {
	live := make([]*unstructured.Unstructured, 0, len(refs))
	for _, ref := range refs {
		u, err := reader.read(ctx, ref)
		if err != nil {
			return nil, err
		}
		if u != nil {
			live = append(live, u)
		}
	}
	return live, nil
}

// directReader asks the API server.
type directReader struct{ client client.Reader }

func (r directReader) read(ctx context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	u := blank(ref)
	err := r.client.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, u)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", plan.KeyOfReference(ref), err)
	}
	return slim(u), nil
}

// cachedReader reads from informers, and asks the API server about what they
// cannot know: objects without an owner, and what this process wrote just now.
type cachedReader struct {
	cache  client.Reader
	wrote  *memory
	direct directReader
}

func (r cachedReader) read(ctx context.Context, ref v1alpha1.ObjectReference) (*unstructured.Unstructured, error) {
	cached := blank(ref)
	err := r.cache.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, cached)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return r.direct.read(ctx, ref)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", plan.KeyOfReference(ref), err)
	}
	if written := r.wrote.written(plan.KeyOfReference(ref)); written != nil && newer(written, cached) {
		return written, nil
	}
	return cached, nil
}

// newer tells whether a is a later version of the same object as b, or another
// object in its place.
func newer(a, b *unstructured.Unstructured) bool {
	order, err := resourceversion.CompareResourceVersion(a.GetResourceVersion(), b.GetResourceVersion())
	return err == nil && order > 0
}

func blank(ref v1alpha1.ObjectReference) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(gvkOf(ref))
	return u
}

func gvkOf(ref v1alpha1.ObjectReference) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: ref.Group, Version: ref.Version, Kind: ref.Kind}
}

// slim leaves of an object what is compared and judged: no secret values, and of
// the managed fields only our own and the times of the others.
func slim(u *unstructured.Unstructured) *unstructured.Unstructured {
	plan.Redact(u)
	entries := u.GetManagedFields()
	for i := range entries {
		if entries[i].Manager != v1alpha1.FieldManager || entries[i].Operation != metav1.ManagedFieldsOperationApply {
			entries[i].FieldsV1 = nil
		}
	}
	u.SetManagedFields(entries)
	return u
}
