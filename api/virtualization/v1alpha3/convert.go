package v1alpha3

import (
	"fmt"
	"strconv"
	"strings"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// ToV1alpha2 translates a class into the stored version. It fails when a core fraction is not a percentage from 1% to
// 100%, which this version's schema lets through and the stored one does not.
func ToV1alpha2(in *VirtualMachineClass) (*v1alpha2.VirtualMachineClass, error) {
	in = in.DeepCopy()
	out := &v1alpha2.VirtualMachineClass{
		TypeMeta:   in.TypeMeta,
		ObjectMeta: in.ObjectMeta,
		Spec: v1alpha2.VirtualMachineClassSpec{
			CPU:          in.Spec.CPU,
			NodeSelector: in.Spec.NodeSelector,
			Tolerations:  in.Spec.Tolerations,
		},
		Status: in.Status,
	}
	out.SetGroupVersionKind(v1alpha2.SchemeGroupVersion.WithKind(v1alpha2.VirtualMachineClassKind))
	for i := range in.Spec.SizingPolicies {
		policy, err := policyToV1alpha2(&in.Spec.SizingPolicies[i])
		if err != nil {
			return nil, fmt.Errorf("convert VirtualMachineClass %s: spec.sizingPolicies[%d].%w", in.Name, i, err)
		}
		out.Spec.SizingPolicies = append(out.Spec.SizingPolicies, policy)
	}
	return out, nil
}

// FromV1alpha2 translates a stored class into this version.
func FromV1alpha2(in *v1alpha2.VirtualMachineClass) *VirtualMachineClass {
	in = in.DeepCopy()
	out := &VirtualMachineClass{
		TypeMeta:   in.TypeMeta,
		ObjectMeta: in.ObjectMeta,
		Spec: VirtualMachineClassSpec{
			CPU:          in.Spec.CPU,
			NodeSelector: in.Spec.NodeSelector,
			Tolerations:  in.Spec.Tolerations,
		},
		Status: in.Status,
	}
	out.SetGroupVersionKind(SchemeGroupVersion.WithKind(v1alpha2.VirtualMachineClassKind))
	for i := range in.Spec.SizingPolicies {
		out.Spec.SizingPolicies = append(out.Spec.SizingPolicies, policyFromV1alpha2(&in.Spec.SizingPolicies[i]))
	}
	return out
}

func policyToV1alpha2(in *SizingPolicy) (v1alpha2.SizingPolicy, error) {
	out := v1alpha2.SizingPolicy{Cores: in.Cores, Memory: in.Memory, DedicatedCores: in.DedicatedCores}
	for i, f := range in.CoreFractions {
		percent, err := f.percent()
		if err != nil {
			return out, fmt.Errorf("coreFractions[%d]: %w", i, err)
		}
		out.CoreFractions = append(out.CoreFractions, percent)
	}
	if in.DefaultCoreFraction != nil {
		percent, err := in.DefaultCoreFraction.percent()
		if err != nil {
			return out, fmt.Errorf("defaultCoreFraction: %w", err)
		}
		out.DefaultCoreFraction = &percent
	}
	return out, nil
}

func policyFromV1alpha2(in *v1alpha2.SizingPolicy) SizingPolicy {
	out := SizingPolicy{Cores: in.Cores, Memory: in.Memory, DedicatedCores: in.DedicatedCores}
	for _, f := range in.CoreFractions {
		out.CoreFractions = append(out.CoreFractions, fraction(f))
	}
	if in.DefaultCoreFraction != nil {
		f := fraction(*in.DefaultCoreFraction)
		out.DefaultCoreFraction = &f
	}
	return out
}

func fraction(percent v1alpha2.CoreFraction) CoreFraction {
	return CoreFraction(strconv.Itoa(int(percent)) + "%")
}

func (f CoreFraction) percent() (v1alpha2.CoreFraction, error) {
	digits, found := strings.CutSuffix(string(f), "%")
	n, err := strconv.Atoi(digits)
	if !found || err != nil || n < 1 || n > 100 {
		return 0, fmt.Errorf("%q is not a core fraction: write a percentage from 1%% to 100%%", string(f))
	}
	return v1alpha2.CoreFraction(n), nil
}
