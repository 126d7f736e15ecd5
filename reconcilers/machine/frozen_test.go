package machine

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2/vmcondition"
)

// TestFrozenGuest freezes and thaws a guest, as a snapshot does.
func TestFrozenGuest(t *testing.T) {
	w := newWorld(t, nil, everything()...)
	w.settle()
	w.obey()
	w.settle()
	if c := meta.FindStatusCondition(w.vm.Status.Conditions, vmcondition.FilesystemFrozenType); c != nil {
		t.Errorf("a guest that is not frozen says %+v", c)
	}
	w.updateInstance(func(i *kubevirtv1.VirtualMachineInstance) { i.Status.FSFreezeStatus = "frozen" })
	w.settle()
	w.expectCondition(vmcondition.FilesystemFrozenType, "True/Frozen")
	w.updateInstance(func(i *kubevirtv1.VirtualMachineInstance) { i.Status.FSFreezeStatus = "" })
	w.settle()
	if c := meta.FindStatusCondition(w.vm.Status.Conditions, vmcondition.FilesystemFrozenType); c != nil {
		t.Errorf("a guest that was thawed says %+v", c)
	}
}
