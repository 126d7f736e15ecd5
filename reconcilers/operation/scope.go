package operation

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmopcondition"
)

// scope is what one run observed.
type scope struct {
	op  *v1alpha2.VirtualMachineOperation
	now time.Time

	// finished operations are left alone (step finished).
	finished bool
	// machine, engine and instance are the machine and its KubeVirt objects; the
	// latter two may be nil (step machine).
	machine  *v1alpha2.VirtualMachine
	engine   *kubevirtv1.VirtualMachine
	instance *kubevirtv1.VirtualMachineInstance
	// signaled tells that the request was made (step signal).
	signaled bool
	// stage of a move that goes on (step follow).
	stage vmopcondition.Reason
}

// before is the instance that the machine had when the operation was accepted,
// empty for none, and whether it was accepted.
func (s *scope) before() (types.UID, bool) {
	uid, accepted := s.op.Annotations[instanceAnnotation]
	return types.UID(uid), accepted
}

// another is the machine's instance when it is not the one that was there
// before, nil otherwise.
func (s *scope) another() *kubevirtv1.VirtualMachineInstance {
	uid, _ := s.before()
	if s.instance == nil || s.instance.UID == uid {
		return nil
	}
	return s.instance
}

// mine tells whether the machine's instance is the one to stop: the one that was
// there before, or the one that came of a start that was under way.
func (s *scope) mine() bool {
	uid, _ := s.before()
	return s.instance != nil && (uid == "" || s.instance.UID == uid)
}

func finished(op *v1alpha2.VirtualMachineOperation) bool {
	return op.Status.Phase == v1alpha2.OperationCompleted || op.Status.Phase == v1alpha2.OperationFailed
}
