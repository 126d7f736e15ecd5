package class

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// scope is what one run observed.
type scope struct {
	class *v1alpha2.VirtualMachineClass
	now   time.Time

	// machines is how many machines name the class (step machines).
	machines int
	// nodes are all nodes that can run virtual machines (step nodes).
	nodes []corev1.Node
	// available are the names of those that suit the class, sorted (step nodes).
	available []string
	// largest is the most that any available node offers (step nodes).
	largest corev1.ResourceList
	// enabled and notCommon are the CPU features (step features).
	enabled, notCommon []string
	// discovery says how discovering went, for type Discovery (step features).
	discovery string
}
