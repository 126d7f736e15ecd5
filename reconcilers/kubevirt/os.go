package kubevirt

import (
	"cmp"

	"k8s.io/utils/ptr"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

const (
	machineType = "q35"

	// spinlockRetries is what Windows guests do best with on KVM.
	spinlockRetries = uint32(8191)
)

func bootloader(kind v1alpha2.Bootloader) *kubevirtv1.Bootloader {
	switch cmp.Or(kind, v1alpha2.BIOS) {
	case v1alpha2.EFI:
		return &kubevirtv1.Bootloader{EFI: &kubevirtv1.EFI{SecureBoot: ptr.To(false)}}
	case v1alpha2.EFIWithSecureBoot:
		return &kubevirtv1.Bootloader{EFI: &kubevirtv1.EFI{SecureBoot: ptr.To(true), Persistent: ptr.To(true)}}
	default:
		return &kubevirtv1.Bootloader{BIOS: &kubevirtv1.BIOS{}}
	}
}

// tune sets the virtual hardware that does not depend on the machine's size.
// Windows gets the interfaces of its own hypervisor and a TPM on top.
func tune(domain *kubevirtv1.DomainSpec, os v1alpha2.OSType) {
	domain.Machine = &kubevirtv1.Machine{Type: machineType}
	domain.Features = &kubevirtv1.Features{ACPI: enabled(), SMM: ptr.To(enabled())}
	if os != v1alpha2.Windows {
		return
	}
	domain.Features.Hyperv = hyperv()
	domain.Devices.TPM = &kubevirtv1.TPMDevice{}
	domain.Clock = &kubevirtv1.Clock{
		ClockOffset: kubevirtv1.ClockOffset{UTC: &kubevirtv1.ClockOffsetUTC{}},
		Timer: &kubevirtv1.Timer{
			HPET:   &kubevirtv1.HPETTimer{Enabled: ptr.To(false)},
			PIT:    &kubevirtv1.PITTimer{TickPolicy: kubevirtv1.PITTickPolicyDelay},
			RTC:    &kubevirtv1.RTCTimer{TickPolicy: kubevirtv1.RTCTickPolicyCatchup},
			Hyperv: &kubevirtv1.HypervTimer{},
		},
	}
}

func hyperv() *kubevirtv1.FeatureHyperv {
	on := func() *kubevirtv1.FeatureState { return ptr.To(enabled()) }
	return &kubevirtv1.FeatureHyperv{
		Relaxed:         on(),
		VAPIC:           on(),
		VPIndex:         on(),
		Runtime:         on(),
		SyNIC:           on(),
		Reset:           on(),
		Frequencies:     on(),
		Reenlightenment: on(),
		IPI:             on(),
		TLBFlush:        &kubevirtv1.TLBFlush{FeatureState: enabled()},
		SyNICTimer:      &kubevirtv1.SyNICTimer{FeatureState: enabled(), Direct: on()},
		Spinlocks:       &kubevirtv1.FeatureSpinlocks{FeatureState: enabled(), Retries: ptr.To(spinlockRetries)},
	}
}

func enabled() kubevirtv1.FeatureState {
	return kubevirtv1.FeatureState{Enabled: ptr.To(true)}
}
