package placement

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/domain"
)

// Fits is nil when the node satisfies what the instance requires.
func Fits(spec *virtv1.VirtualMachineInstanceSpec, node *corev1.Node) error {
	for key, want := range spec.NodeSelector {
		if got, ok := node.Labels[key]; !ok || got != want {
			return fmt.Errorf("node %s does not have the label %s=%s that the node selector requires", node.Name, key, want)
		}
	}
	if err := affinity(spec.Affinity, node); err != nil {
		return err
	}
	if err := memory(spec, node); err != nil {
		return err
	}
	return tolerates(spec.Tolerations, node)
}

// memory: a guest must fit by itself. Guests together may ask for more than there is, as they seldom use it all.
func memory(spec *virtv1.VirtualMachineInstanceSpec, node *corev1.Node) error {
	want, have := domain.Memory(&spec.Domain), node.Status.Allocatable.Memory()
	if !have.IsZero() && want.Cmp(*have) > 0 {
		return fmt.Errorf("node %s has %s of memory, the instance asks for %s", node.Name, have, want)
	}
	return nil
}

func affinity(a *corev1.Affinity, node *corev1.Node) error {
	if a == nil || a.NodeAffinity == nil || a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution == nil {
		return nil
	}
	for _, term := range a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms {
		if termMatches(term, node) {
			return nil
		}
	}
	return fmt.Errorf("node %s matches no term of the required node affinity", node.Name)
}

// termMatches: an empty term selects nothing.
func termMatches(term corev1.NodeSelectorTerm, node *corev1.Node) bool {
	if len(term.MatchExpressions) == 0 && len(term.MatchFields) == 0 {
		return false
	}
	for _, r := range term.MatchExpressions {
		value, ok := node.Labels[r.Key]
		if !matches(r, value, ok) {
			return false
		}
	}
	for _, r := range term.MatchFields {
		if r.Key != "metadata.name" || !matches(r, node.Name, true) {
			return false
		}
	}
	return true
}

func matches(r corev1.NodeSelectorRequirement, value string, present bool) bool {
	switch r.Operator {
	case corev1.NodeSelectorOpIn:
		return present && slices.Contains(r.Values, value)
	case corev1.NodeSelectorOpNotIn:
		return !present || !slices.Contains(r.Values, value)
	case corev1.NodeSelectorOpExists:
		return present
	case corev1.NodeSelectorOpDoesNotExist:
		return !present
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		return present && compares(r, value)
	}
	return false
}

func compares(r corev1.NodeSelectorRequirement, value string) bool {
	if len(r.Values) != 1 {
		return false
	}
	got, errGot := strconv.ParseInt(value, 10, 64)
	bound, errBound := strconv.ParseInt(r.Values[0], 10, 64)
	if errGot != nil || errBound != nil {
		return false
	}
	if r.Operator == corev1.NodeSelectorOpGt {
		return got > bound
	}
	return got < bound
}

func tolerates(tolerations []corev1.Toleration, node *corev1.Node) error {
	var hindering []string
	for i := range node.Spec.Taints {
		taint := &node.Spec.Taints[i]
		if taint.Effect == corev1.TaintEffectPreferNoSchedule || tolerated(tolerations, taint) {
			continue
		}
		hindering = append(hindering, taint.ToString())
	}
	if len(hindering) > 0 {
		return fmt.Errorf("node %s has taints that the instance does not tolerate: %s", node.Name, strings.Join(hindering, ", "))
	}
	return nil
}

func tolerated(tolerations []corev1.Toleration, taint *corev1.Taint) bool {
	for _, t := range tolerations {
		if t.Effect != "" && t.Effect != taint.Effect || t.Key != "" && t.Key != taint.Key {
			continue
		}
		if t.Operator == corev1.TolerationOpExists || t.Key != "" && t.Value == taint.Value {
			return true
		}
	}
	return false
}
