package refuse

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	testclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

func TestEveryKindIsRefused(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha2.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			obj := k.newObject()
			obj.SetNamespace("team")
			obj.SetName("some")
			obj.SetGeneration(3)
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(obj).WithStatusSubresource(obj).Build()
			recorder := &flowtest.Recorder{}
			r := reconciler(k, flow.Deps{Client: c, Recorder: recorder, Clock: testclock.NewFakeClock(time.Unix(0, 0))})

			result := flowtest.Settle(t, c, r, obj, 3)

			conditions, generation := k.status(obj)
			condition := meta.FindStatusCondition(*conditions, k.condition)
			if condition == nil || condition.Status != "False" || condition.Reason != NotSupported || condition.Message != k.message {
				t.Errorf("condition is %+v, want it to refuse", condition)
			}
			if *generation != 3 || result.RequeueAfter != 0 {
				t.Errorf("observed generation %d, again after %v", *generation, result.RequeueAfter)
			}
			if diff := cmp.Diff([]string{"Warning NotSupported " + k.message}, recorder.Drain()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPhases(t *testing.T) {
	attachment := &v1alpha2.VirtualMachineBlockDeviceAttachment{}
	address := &v1alpha2.VirtualMachineMACAddress{}
	for _, k := range kinds() {
		switch k.name {
		case "virtualmachineblockdeviceattachment":
			k.status(attachment)
		case "virtualmachinemacaddress":
			k.status(address)
		}
	}
	if attachment.Status.Phase != v1alpha2.AttachmentFailed || address.Status.Phase != v1alpha2.AddressPending {
		t.Errorf("phases are %s and %s", attachment.Status.Phase, address.Status.Phase)
	}
}
