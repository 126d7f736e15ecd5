package machine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

const (
	start = kubevirtv1.StartRequest
	stop  = kubevirtv1.StopRequest
)

type actions = []kubevirtv1.StateChangeRequestAction

func TestMachineStartsOnce(t *testing.T) {
	w := newWorld(t, nil, everything()...)
	w.settle()
	if diff := cmp.Diff(actions{start}, w.requests()); diff != "" {
		t.Fatalf("requests (-want +got):\n%s", diff)
	}
	if w.vm.Status.Phase != v1alpha2.MachineStarting && w.vm.Status.Phase != v1alpha2.MachinePending {
		t.Errorf("phase %s while it starts", w.vm.Status.Phase)
	}
	w.obey()
	w.settle()
	if w.vm.Status.Phase != v1alpha2.MachineRunning || w.vm.Status.NodeName != "node" || w.vm.Status.IPAddress != "10.66.10.5" {
		t.Errorf("status %+v", w.vm.Status)
	}
	if got := w.requests(); len(got) > 0 {
		t.Errorf("it asks again for %v", got)
	}
}
