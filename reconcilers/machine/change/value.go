package change

import (
	"cmp"

	"k8s.io/utils/ptr"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func deref[T any](p *T, otherwise T) any {
	return ptr.Deref(p, otherwise)
}

// filled is the list or map itself, nil when it is empty, so that an empty and
// an absent one are the same.
func filled(value any, length int) any {
	if length == 0 {
		return nil
	}
	return value
}

// memorySize is the canonical form of the size: 1024Mi and 1Gi are the same.
func memorySize(s *spec) any {
	size := s.Memory.Size.DeepCopy()
	return size.String()
}

func disruptions(s *spec) any {
	mode := ptr.Deref(s.Disruptions, v1alpha2.Disruptions{}).RestartApprovalMode
	return v1alpha2.Disruptions{RestartApprovalMode: cmp.Or(mode, defaultRestartApproving)}
}

func affinity(s *spec) any {
	if s.Affinity == nil {
		return nil
	}
	return *s.Affinity
}

func classNodeSelector(s *classSpec) any {
	return filled(s.NodeSelector, len(s.NodeSelector.MatchLabels)+len(s.NodeSelector.MatchExpressions))
}

// networks writes out what admission fills: no list means the main network,
// the main network has the id 1 and the others count from 2.
func networks(list []v1alpha2.NetworkSpec) any {
	if len(list) == 0 {
		list = []v1alpha2.NetworkSpec{{Type: v1alpha2.NetworkMain}}
	}
	full := make([]v1alpha2.NetworkSpec, 0, len(list))
	next := firstExtraNetworkID
	for _, n := range list {
		id := defaultNetworkID
		if n.Type != v1alpha2.NetworkMain {
			id = next
			next++
		}
		if n.ID == nil {
			n.ID = ptr.To(id)
		}
		full = append(full, n)
	}
	return full
}
