package class

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	modulelabels "slipway.dev/slipway/api/virtualization/v1alpha2/labels"
)

const labelTrue = "true"

// operators of node selectors in the words of label selectors.
var operators = map[corev1.NodeSelectorOperator]selection.Operator{
	corev1.NodeSelectorOpIn:           selection.In,
	corev1.NodeSelectorOpNotIn:        selection.NotIn,
	corev1.NodeSelectorOpExists:       selection.Exists,
	corev1.NodeSelectorOpDoesNotExist: selection.DoesNotExist,
	corev1.NodeSelectorOpGt:           selection.GreaterThan,
	corev1.NodeSelectorOpLt:           selection.LessThan,
}

// runsMachines tells whether KubeVirt may place machines on the node now.
func runsMachines(node *corev1.Node) bool {
	if node.Spec.Unschedulable || node.Labels[kubevirtv1.NodeSchedulable] != labelTrue {
		return false
	}
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// suits tells whether the node has the labels and the processor of the class.
func suits(node *corev1.Node, class *v1alpha2.VirtualMachineClassSpec) bool {
	set := labels.Set(node.Labels)
	if !labels.SelectorFromSet(class.NodeSelector.MatchLabels).Matches(set) {
		return false
	}
	for _, expression := range class.NodeSelector.MatchExpressions {
		requirement, err := labels.NewRequirement(expression.Key, operators[expression.Operator], expression.Values)
		if err != nil || !requirement.Matches(set) {
			return false
		}
	}
	return hasProcessor(node, &class.CPU)
}

// hasProcessor believes a node that carries no processor labels at all: nobody
// looked at it, and KubeVirt will find out.
func hasProcessor(node *corev1.Node, cpu *v1alpha2.ClassCPU) bool {
	switch cpu.Type {
	case v1alpha2.CPUTypeModel:
		return !labeled(node, kubevirtv1.CPUModelLabel) || node.Labels[kubevirtv1.CPUModelLabel+cpu.Model] == labelTrue
	case v1alpha2.CPUTypeFeatures:
		own := features(node)
		return len(own) == 0 || !slices.ContainsFunc(cpu.Features, func(f string) bool { return !own[f] })
	default:
		return true
	}
}

func labeled(node *corev1.Node, prefix string) bool {
	for key := range node.Labels {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// features are the processor features that a node's labels tell of.
func features(node *corev1.Node) map[string]bool {
	found := map[string]bool{}
	for key, value := range node.Labels {
		for _, prefix := range []string{kubevirtv1.CPUFeatureLabel, modulelabels.NodeCPUFeaturePrefix} {
			if feature, ok := strings.CutPrefix(key, prefix); ok && value == labelTrue {
				found[feature] = true
			}
		}
	}
	return found
}

// larger keeps the larger amount of each resource.
func larger(a, b corev1.ResourceList) corev1.ResourceList {
	result := a.DeepCopy()
	if result == nil {
		result = corev1.ResourceList{}
	}
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		if amount, ok := b[name]; ok && amount.Cmp(result[name]) > 0 {
			result[name] = amount
		}
	}
	return result
}
