package machine

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/kubevirt"
)

// propagate brings the user's labels and annotations to everything that stands
// for the machine, at once and also while it runs. Each object remembers what it
// was given, so that what the user takes away goes from it, and what others
// added stays.
func (e *engineer) propagate(ctx context.Context, s *scope) flow.Outcome {
	var objects []client.Object
	if s.engine != nil {
		objects = append(objects, s.engine)
	}
	if s.instance != nil && s.instance.DeletionTimestamp.IsZero() {
		objects = append(objects, s.instance)
	}
	for _, pod := range s.pods {
		objects = append(objects, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.vm.Namespace, Name: pod.Name}})
	}
	for _, object := range objects {
		if err := e.propagateTo(ctx, s.vm, object); err != nil {
			return flow.Fail(reasonWriting, err)
		}
	}
	return flow.Done()
}

func (e *engineer) propagateTo(ctx context.Context, vm *v1alpha2.VirtualMachine, object client.Object) error {
	if _, isPod := object.(*corev1.Pod); isPod {
		if err := e.client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return fmt.Errorf("get pod %s: %w", object.GetName(), client.IgnoreNotFound(err))
		}
	}
	before, ok := object.DeepCopyObject().(client.Object)
	if !ok {
		return fmt.Errorf("copy %T %s: not an object", object, object.GetName())
	}
	meta := metav1.ObjectMeta{Labels: object.GetLabels(), Annotations: object.GetAnnotations()}
	if err := inherit(&meta, vm); err != nil {
		return err
	}
	if maps.Equal(meta.Labels, before.GetLabels()) && maps.Equal(meta.Annotations, before.GetAnnotations()) {
		return nil
	}
	object.SetLabels(meta.Labels)
	object.SetAnnotations(meta.Annotations)
	err := e.client.Patch(ctx, object, client.MergeFrom(before), fieldManager)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("propagate labels and annotations to %T %s: %w", object, object.GetName(), err)
	}
	return nil
}

// inherit makes the metadata agree with the machine's.
func inherit(meta *metav1.ObjectMeta, vm *v1alpha2.VirtualMachine) error {
	labels, annotationsOfUser := kubevirt.Propagated(vm.Labels), kubevirt.Propagated(vm.Annotations)
	var lastLabels, lastAnnotations map[string]string
	read(meta.Annotations[annotations.LastPropagatedLabels], &lastLabels)
	read(meta.Annotations[annotations.LastPropagatedAnnotations], &lastAnnotations)
	meta.Labels = merge(meta.Labels, lastLabels, labels)
	meta.Annotations = merge(meta.Annotations, lastAnnotations, annotationsOfUser)
	return remember(meta, vm)
}

// remember writes down what an object was given.
func remember(meta *metav1.ObjectMeta, vm *v1alpha2.VirtualMachine) error {
	for key, given := range map[string]map[string]string{
		annotations.LastPropagatedLabels:      kubevirt.Propagated(vm.Labels),
		annotations.LastPropagatedAnnotations: kubevirt.Propagated(vm.Annotations),
	} {
		text, err := json.Marshal(given)
		if err != nil {
			return fmt.Errorf("encode metadata of machine %s: %w", vm.Name, err)
		}
		if meta.Annotations == nil {
			meta.Annotations = map[string]string{}
		}
		meta.Annotations[key] = string(text)
	}
	return nil
}

// read gives nothing for a text that nobody could have written.
func read(text string, into *map[string]string) {
	if json.Unmarshal([]byte(text), into) != nil {
		*into = nil
	}
}

// merge takes away what was given before and gives what is wanted now.
func merge(has, before, now map[string]string) map[string]string {
	merged := maps.Clone(has)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.DeleteFunc(merged, func(key, value string) bool {
		given, ok := before[key]
		return ok && given == value
	})
	maps.Copy(merged, now)
	return merged
}
