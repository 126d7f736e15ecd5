package class

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmclasscondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// reasonReading is the reason of an outcome when the API server does not answer.
const reasonReading = "ReadFailed"

// observer reads what a class depends on.
type observer struct {
	client     client.Client
	singleNode string
	clock      clock.PassiveClock
}

func (o observer) findMachines(ctx context.Context, s *scope) flow.Outcome {
	var machines v1alpha2.VirtualMachineList
	if err := o.client.List(ctx, &machines, client.MatchingFields{machineIndex: s.class.Name}); err != nil {
		return flow.Fail(reasonReading, fmt.Errorf("list machines of class %s: %w", s.class.Name, err))
	}
	s.machines = len(machines.Items)
	return flow.Done()
}

func (o observer) findNodes(ctx context.Context, s *scope) flow.Outcome {
	var nodes corev1.NodeList
	if err := o.client.List(ctx, &nodes); err != nil {
		return flow.Fail(reasonReading, fmt.Errorf("list nodes: %w", err))
	}
	if len(nodes.Items) == 0 && o.singleNode != "" {
		s.available = []string{o.singleNode}
		return flow.Done()
	}
	s.nodes = slices.DeleteFunc(nodes.Items, func(n corev1.Node) bool { return !runsMachines(&n) })
	for i := range s.nodes {
		if suits(&s.nodes[i], &s.class.Spec) {
			s.available = append(s.available, s.nodes[i].Name)
			s.largest = larger(s.largest, s.nodes[i].Status.Allocatable)
		}
	}
	slices.Sort(s.available)
	return flow.Done()
}

func (o observer) discoverFeatures(_ context.Context, s *scope) flow.Outcome {
	switch spec := s.class.Spec.CPU; spec.Type {
	case v1alpha2.CPUTypeFeatures:
		s.enabled = slices.Sorted(slices.Values(spec.Features))
	case v1alpha2.CPUTypeDiscovery:
		selector, err := metav1.LabelSelectorAsSelector(&spec.Discovery.NodeSelector)
		if err != nil {
			s.discovery = vmclasscondition.DiscoveryFailed
			return flow.Stall(vmclasscondition.DiscoveryFailed, "spec.cpu.discovery.nodeSelector: %s: correct the selector", err)
		}
		s.enabled, s.notCommon = commonFeatures(s.nodes, selector)
		s.discovery = vmclasscondition.DiscoverySucceeded
	default:
	}
	return flow.Done()
}

// commonFeatures are the features that all selected nodes have, and those that
// only some have.
func commonFeatures(nodes []corev1.Node, selector labels.Selector) (enabled, notCommon []string) {
	selected := 0
	count := map[string]int{}
	for i := range nodes {
		if !selector.Matches(labels.Set(nodes[i].Labels)) {
			continue
		}
		selected++
		for feature := range features(&nodes[i]) {
			count[feature]++
		}
	}
	for _, feature := range slices.Sorted(maps.Keys(count)) {
		if count[feature] == selected {
			enabled = append(enabled, feature)
		} else {
			notCommon = append(notCommon, feature)
		}
	}
	return enabled, notCommon
}

// release holds a class that is being deleted until no machine names it.
func release(_ context.Context, s *scope) flow.Outcome {
	if s.machines > 0 {
		return flow.Wait(vmclasscondition.VirtualMachineClassInUse, 0, "%d virtual machines use the class: move them to another or delete them", s.machines)
	}
	return flow.Done()
}
