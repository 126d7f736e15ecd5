package admission

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
)

func judgeClass(ctx context.Context, reader client.Reader, r revision[*v1alpha2.VirtualMachineClass]) (verdict, error) {
	errs := checkPolicies(r.new.Spec.SizingPolicies)
	if !isDefault(r.new) || r.updates && isDefault(r.old) {
		return verdict{errors: errs}, nil
	}
	var all v1alpha2.VirtualMachineClassList
	if err := reader.List(ctx, &all); err != nil {
		return verdict{}, fmt.Errorf("list classes: %w", err)
	}
	return verdict{errors: append(errs, checkDefault(r.new, all.Items)...)}, nil
}

func checkDefault(class *v1alpha2.VirtualMachineClass, all []v1alpha2.VirtualMachineClass) field.ErrorList {
	for i := range all {
		if other := &all[i]; other.Name != class.Name && isDefault(other) && other.DeletionTimestamp.IsZero() {
			return field.ErrorList{field.Forbidden(metadataPath.Child("annotations").Key(annotations.DefaultClass),
				fmt.Sprintf("class %q is the default: take the annotation off it first", other.Name))}
		}
	}
	return nil
}

func checkPolicies(policies []v1alpha2.SizingPolicy) field.ErrorList {
	var errs field.ErrorList
	path := specPath.Child("sizingPolicies")
	for i := range policies {
		at, p := path.Index(i), &policies[i]
		for j := range policies[:i] {
			if other := policies[j].Cores; p.Cores.Min <= other.Max && other.Min <= p.Cores.Max {
				errs = append(errs, field.Invalid(at.Child("cores"), fmt.Sprintf("%d–%d", p.Cores.Min, p.Cores.Max),
					fmt.Sprintf("it overlaps with %s: give each number of cores one policy", path.Index(j))))
			}
		}
		if f := p.DefaultCoreFraction; f != nil && len(p.CoreFractions) > 0 && !slices.Contains(p.CoreFractions, *f) {
			errs = append(errs, field.Invalid(at.Child("defaultCoreFraction"), int(*f), "use one of coreFractions"))
		}
		errs = append(errs, checkMemory(p.Memory, at.Child("memory"))...)
	}
	return errs
}

func checkMemory(memory *v1alpha2.SizingPolicyMemory, path *field.Path) field.ErrorList {
	if memory == nil {
		return nil
	}
	errs := checkRange(memory.Min, memory.Max, path)
	errs = append(errs, checkRange(memory.PerCore.Min, memory.PerCore.Max, path.Child("perCore"))...)
	if step := memory.Step; step != nil {
		span := memory.Max
		if step.Sign() <= 0 || span != nil && !span.IsZero() && step.Cmp(*span) > 0 {
			errs = append(errs, field.Invalid(path.Child("step"), step.String(), "use a step between nothing and max"))
		}
	}
	return errs
}

func checkRange(least, most *resource.Quantity, path *field.Path) field.ErrorList {
	if least == nil || most == nil || most.IsZero() || least.Cmp(*most) <= 0 {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child("max"), most.String(), fmt.Sprintf("use at least min, %s", least))}
}
