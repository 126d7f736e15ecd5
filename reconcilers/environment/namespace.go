package environment

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// podPolicies begin the labels of a Namespace that say how much its pods may do: those of Kubernetes, and that of Deckhouse.
var podPolicies = []string{"pod-security.kubernetes.io/", "security.deckhouse.io/pod-policy"}

// keepsPodPolicy refuses labels by which an Environment would say how much the pods of its own namespace may do. A Role that
// allows everything in a namespace allows them too, without whoever bound it meaning that.
func keepsPodPolicy(u *unstructured.Unstructured, own string) error {
	if u.GetKind() != "Namespace" || u.GroupVersionKind().Group != "" || u.GetName() != own {
		return nil
	}
	for _, label := range slices.Sorted(maps.Keys(u.GetLabels())) {
		if slices.ContainsFunc(podPolicies, func(prefix string) bool { return strings.HasPrefix(label, prefix) }) {
			return fmt.Errorf("the Namespace %s has the label %s: what its pods may do is not for an Environment in it to say; remove the label, and let whoever runs the cluster set it", own, label)
		}
	}
	return nil
}
