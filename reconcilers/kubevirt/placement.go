package kubevirt

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// nodeSelector merges the labels that machine and class ask for; the class wins
// when both name a key.
func nodeSelector(spec *v1alpha2.VirtualMachineSpec, class *v1alpha2.VirtualMachineClass) map[string]string {
	merged := maps.Clone(spec.NodeSelector)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, class.Spec.NodeSelector.MatchLabels)
	if len(merged) == 0 {
		return nil
	}
	return merged
}

// tolerations are those of the machine and of the class, each once.
func tolerations(spec *v1alpha2.VirtualMachineSpec, class *v1alpha2.VirtualMachineClass) []corev1.Toleration {
	merged := slices.Clone(spec.Tolerations)
	for _, t := range class.Spec.Tolerations {
		if !slices.ContainsFunc(merged, func(m corev1.Toleration) bool { return equality.Semantic.DeepEqual(m, t) }) {
			merged = append(merged, t)
		}
	}
	return merged
}

// affinity turns machine affinity into pod affinity, because a machine's labels
// are on its pod, and adds the class's node expressions.
func affinity(spec *v1alpha2.VirtualMachineSpec, class *v1alpha2.VirtualMachineClass) *corev1.Affinity {
	result := &corev1.Affinity{}
	if a := spec.Affinity; a != nil {
		result.NodeAffinity = a.NodeAffinity.DeepCopy()
		if p := a.VirtualMachineAndPodAffinity; p != nil {
			result.PodAffinity = &corev1.PodAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution:  podTerms(p.RequiredDuringSchedulingIgnoredDuringExecution),
				PreferredDuringSchedulingIgnoredDuringExecution: weightedPodTerms(p.PreferredDuringSchedulingIgnoredDuringExecution),
			}
		}
		if p := a.VirtualMachineAndPodAntiAffinity; p != nil {
			result.PodAntiAffinity = &corev1.PodAntiAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution:  podTerms(p.RequiredDuringSchedulingIgnoredDuringExecution),
				PreferredDuringSchedulingIgnoredDuringExecution: weightedPodTerms(p.PreferredDuringSchedulingIgnoredDuringExecution),
			}
		}
	}
	result.NodeAffinity = restrict(result.NodeAffinity, class.Spec.NodeSelector.MatchExpressions)
	if equality.Semantic.DeepEqual(result, &corev1.Affinity{}) {
		return nil
	}
	return result
}

// restrict adds expressions to every required term. Terms are alternatives, so
// each of them must hold the class's expressions too.
func restrict(node *corev1.NodeAffinity, expressions []corev1.NodeSelectorRequirement) *corev1.NodeAffinity {
	if len(expressions) == 0 {
		return node
	}
	if node == nil {
		node = &corev1.NodeAffinity{}
	}
	required := node.RequiredDuringSchedulingIgnoredDuringExecution
	if required == nil || len(required.NodeSelectorTerms) == 0 {
		required = &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{}}}
	}
	for i := range required.NodeSelectorTerms {
		term := &required.NodeSelectorTerms[i]
		term.MatchExpressions = append(slices.Clone(term.MatchExpressions), expressions...)
	}
	node.RequiredDuringSchedulingIgnoredDuringExecution = required
	return node
}

func podTerms(terms []v1alpha2.VirtualMachineAndPodAffinityTerm) []corev1.PodAffinityTerm {
	var converted []corev1.PodAffinityTerm
	for _, t := range terms {
		converted = append(converted, podTerm(t))
	}
	return converted
}

func weightedPodTerms(terms []v1alpha2.WeightedVirtualMachineAndPodAffinityTerm) []corev1.WeightedPodAffinityTerm {
	var converted []corev1.WeightedPodAffinityTerm
	for _, t := range terms {
		converted = append(converted, corev1.WeightedPodAffinityTerm{Weight: t.Weight, PodAffinityTerm: podTerm(t.VirtualMachineAndPodAffinityTerm)})
	}
	return converted
}

func podTerm(t v1alpha2.VirtualMachineAndPodAffinityTerm) corev1.PodAffinityTerm {
	return corev1.PodAffinityTerm{
		LabelSelector:     t.LabelSelector,
		Namespaces:        t.Namespaces,
		NamespaceSelector: t.NamespaceSelector,
		TopologyKey:       t.TopologyKey,
		MatchLabelKeys:    t.MatchLabelKeys,
		MismatchLabelKeys: t.MismatchLabelKeys,
	}
}
