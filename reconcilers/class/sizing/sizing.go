package sizing

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// FullFraction is the core fraction of a machine that names none, in a class
// that has no default.
const FullFraction = "100%"

// ErrNoMatch is wrapped by every error of Match.
var ErrNoMatch = errors.New("no sizing policy of the class fits")

// Match is nil when the machine's size fits one of the class's policies, or the
// class has none.
func Match(policies []v1alpha2.SizingPolicy, spec *v1alpha2.VirtualMachineSpec) error {
	if len(policies) == 0 {
		return nil
	}
	policy := find(policies, int(spec.CPU.Cores))
	if policy == nil {
		return fmt.Errorf("%w %d cores: use %s", ErrNoMatch, spec.CPU.Cores, ranges(policies))
	}
	problems := slices.Concat(fractionProblems(policy, spec), memoryProblems(policy, spec))
	if len(problems) > 0 {
		return fmt.Errorf("%w: %s", ErrNoMatch, strings.Join(problems, "; "))
	}
	return nil
}

// DefaultFraction is the core fraction that a machine with so many cores gets
// when it names none; empty when no policy has a default.
func DefaultFraction(policies []v1alpha2.SizingPolicy, cores int32) string {
	policy := find(policies, int(cores))
	if policy == nil || policy.DefaultCoreFraction == nil {
		return ""
	}
	return percent(*policy.DefaultCoreFraction)
}

func find(policies []v1alpha2.SizingPolicy, cores int) *v1alpha2.SizingPolicy {
	for i := range policies {
		if inRange(policies[i].Cores, cores) {
			return &policies[i]
		}
	}
	return nil
}

func inRange(r v1alpha2.SizingPolicyCores, cores int) bool {
	step := max(r.Step, 1)
	return r.Min <= cores && cores <= r.Max && (cores-r.Min)%step == 0
}

func ranges(policies []v1alpha2.SizingPolicy) string {
	var all []string
	for _, p := range policies {
		text := fmt.Sprintf("%d–%d", p.Cores.Min, p.Cores.Max)
		if p.Cores.Step > 1 {
			text += fmt.Sprintf(" in steps of %d", p.Cores.Step)
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

func fractionProblems(policy *v1alpha2.SizingPolicy, spec *v1alpha2.VirtualMachineSpec) []string {
	if len(policy.CoreFractions) == 0 {
		return nil
	}
	fraction := spec.CPU.CoreFraction
	if fraction == "" {
		fraction = FullFraction
		if policy.DefaultCoreFraction != nil {
			fraction = percent(*policy.DefaultCoreFraction)
		}
	}
	var allowed []string
	for _, f := range policy.CoreFractions {
		allowed = append(allowed, percent(f))
	}
	if slices.Contains(allowed, fraction) {
		return nil
	}
	return []string{fmt.Sprintf("core fraction %s is not allowed for %d cores: use %s", fraction, spec.CPU.Cores, strings.Join(allowed, ", "))}
}

func percent(f v1alpha2.CoreFraction) string {
	return strconv.Itoa(int(f)) + "%"
}

func memoryProblems(policy *v1alpha2.SizingPolicy, spec *v1alpha2.VirtualMachineSpec) []string {
	size, cores := spec.Memory.Size, int64(spec.CPU.Cores)
	var limits v1alpha2.SizingPolicyMemory
	if policy.Memory != nil {
		limits = *policy.Memory
	}
	problems := slices.Concat(
		outside("memory", size, limits.Min, limits.Max),
		outside("memory per core", *resource.NewQuantity(size.Value()/cores, resource.BinarySI), limits.PerCore.Min, limits.PerCore.Max),
	)
	if limits.Step != nil && limits.Step.Value() > 0 && (size.Value()-value(limits.Min))%limits.Step.Value() != 0 {
		problems = append(problems, fmt.Sprintf("memory %s is not a step of %s from %s", size.String(), limits.Step, quantity(limits.Min)))
	}
	return problems
}

func outside(what string, size resource.Quantity, least, most *resource.Quantity) []string {
	var problems []string
	if least != nil && size.Cmp(*least) < 0 {
		problems = append(problems, fmt.Sprintf("%s %s is less than %s", what, size.String(), least))
	}
	if most != nil && !most.IsZero() && size.Cmp(*most) > 0 {
		problems = append(problems, fmt.Sprintf("%s %s is more than %s", what, size.String(), most))
	}
	return problems
}

func value(q *resource.Quantity) int64 {
	if q == nil {
		return 0
	}
	return q.Value()
}

func quantity(q *resource.Quantity) string {
	if q == nil {
		return "0"
	}
	return q.String()
}
