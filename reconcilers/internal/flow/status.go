package flow

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func (r *Reconciler[O, S]) patchStatus(ctx context.Context, obj, original O) error {
	was, is, differ := changed(statusOf(original), statusOf(obj))
	if !differ {
		return nil
	}
	err := r.sendStatus(ctx, obj, original.GetResourceVersion(), was, is)
	return wrap(client.IgnoreNotFound(err), "patch status of %s %s", r.def.Name, client.ObjectKeyFromObject(obj))
}

// sendStatus asks for the metadata alone in return: the status is what was sent,
// and reading a whole object again costs as much as the run did.
func (r *Reconciler[O, S]) sendStatus(ctx context.Context, obj O, version string, was, is any) error {
	patch, err := statusPatch(version, was, is)
	if err != nil {
		return err
	}
	kind, err := r.deps.Client.GroupVersionKindFor(obj)
	if err != nil {
		return fmt.Errorf("find the kind: %w", err)
	}
	answer := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: obj.GetNamespace(), Name: obj.GetName()}}
	answer.SetGroupVersionKind(kind)
	if err := r.deps.Client.Status().Patch(ctx, answer, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return fmt.Errorf("send it: %w", err)
	}
	obj.SetResourceVersion(answer.GetResourceVersion())
	r.past.by(obj, version)
	return nil
}

// statusPatch is the merge patch from one state of a status to another. It holds
// only for the version of the object that was read.
func statusPatch(version string, was, is any) ([]byte, error) {
	before, err := json.Marshal(was)
	if err != nil {
		return nil, fmt.Errorf("write down what was read: %w", err)
	}
	after, err := json.Marshal(is)
	if err != nil {
		return nil, fmt.Errorf("write down what is new: %w", err)
	}
	difference, err := jsonpatch.CreateMergePatch(before, after)
	if err != nil {
		return nil, fmt.Errorf("compare with what was read: %w", err)
	}
	return fmt.Appendf(nil, `{"metadata":{"resourceVersion":%q},"status":%s}`, version, difference), nil
}

func statusOf(o client.Object) reflect.Value {
	return reflect.ValueOf(o).Elem().FieldByName("Status")
}

// changed are two states of a status with only the fields in which they differ:
// mostly that is one, and the others need not be written down to be compared.
func changed(before, after reflect.Value) (was, is any, differ bool) {
	x, y := reflect.New(before.Type()).Elem(), reflect.New(after.Type()).Elem()
	for i := range x.NumField() {
		if a, b := before.Field(i), after.Field(i); !equality.Semantic.DeepEqual(a.Interface(), b.Interface()) {
			x.Field(i).Set(a)
			y.Field(i).Set(b)
			differ = true
		}
	}
	return x.Interface(), y.Interface(), differ
}
