package machine

import (
	"context"
	"slices"

	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/kubevirt"
	"slipway.dev/slipway/reconcilers/machine/change"
)

// build makes the KubeVirt machine from what was resolved, and compares what was
// applied with what is wanted.
func (e *engineer) build(_ context.Context, s *scope) flow.Outcome {
	if s.record.spec != nil {
		s.changes = change.Diff(s.record.spec, &s.vm.Spec)
	}
	if s.record.class != nil && s.class != nil {
		s.changes = slices.Concat(s.changes, change.DiffClass(s.record.class, &s.class.Spec))
	}
	if s.buildErr = kubevirt.CheckSupported(&s.vm.Spec); s.buildErr != nil {
		return flow.Done()
	}
	if s.class == nil || !s.addressReady.ok || !s.devicesReady.ok {
		return flow.Done()
	}
	built, err := kubevirt.VirtualMachine(kubevirt.Input{
		Machine:    s.vm,
		Class:      s.class,
		Devices:    resolved(s.devices),
		IPAddress:  s.address.Status.Address,
		EndOnReset: e.endOnReset,
	})
	if err == nil {
		err = remember(&built.Spec.Template.ObjectMeta, s.vm)
	}
	if err == nil {
		err = writeRecord(built, s.vm, s.class)
	}
	if s.buildErr = err; err == nil {
		s.built = built
	}
	return flow.Done()
}

func resolved(devices []device) []kubevirt.Device {
	plain := make([]kubevirt.Device, 0, len(devices))
	for _, d := range devices {
		plain = append(plain, d.Device)
	}
	return plain
}
