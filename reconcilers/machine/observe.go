package machine

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// Reasons of outcomes that are no condition's reason.
const (
	reasonReading = "ReadFailed"
	reasonWriting = "WriteFailed"
)

const eventBadRecord = "LastAppliedSpecIsInvalid"

// observe reads the KubeVirt machine, its instance and the pods that hold it.
func (e *engineer) observe(ctx context.Context, s *scope) flow.Outcome {
	key := client.ObjectKeyFromObject(s.vm)
	var err error
	if s.engine, err = find(ctx, e.client, key, &kubevirtv1.VirtualMachine{}); err != nil {
		return flow.Fail(reasonReading, err)
	}
	if s.instance, err = find(ctx, e.client, key, &kubevirtv1.VirtualMachineInstance{}); err != nil {
		return flow.Fail(reasonReading, err)
	}
	if s.record, err = readRecord(s.engine); err != nil {
		flow.Warn(ctx, eventBadRecord, "%s: the configuration is written anew when the machine is stopped", err)
	}
	if s.instance != nil && len(s.instance.Status.ActivePods) > 0 {
		return e.observePods(ctx, s)
	}
	return flow.Done()
}

// observePods lists the instance's pods; there are none on one machine.
func (e *engineer) observePods(ctx context.Context, s *scope) flow.Outcome {
	var pods corev1.PodList
	err := e.client.List(ctx, &pods, client.InNamespace(s.vm.Namespace), client.MatchingLabels{kubevirtv1.CreatedByLabel: string(s.instance.UID)})
	if err != nil {
		return flow.Fail(reasonReading, fmt.Errorf("list pods of machine %s: %w", s.vm.Name, err))
	}
	slices.SortFunc(pods.Items, func(a, b corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	for i := range pods.Items {
		pod := &pods.Items[i]
		active := pod.Status.Phase == corev1.PodRunning && pod.Spec.NodeName == s.instance.Status.NodeName
		s.pods = append(s.pods, v1alpha2.VirtualMachinePod{Name: pod.Name, Active: active})
	}
	return flow.Done()
}

// find reads an object, and gives nil when there is none.
func find[O client.Object](ctx context.Context, c client.Reader, key client.ObjectKey, into O) (O, error) {
	var none O
	err := c.Get(ctx, key, into)
	if apierrors.IsNotFound(err) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("get %T %s: %w", into, key, err)
	}
	return into, nil
}
