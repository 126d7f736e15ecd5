package admission

import (
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/class/sizing"
	"slipway.dev/slipway/reconcilers/kubevirt"
)

const (
	mainNetworkID  = 1
	firstNetworkID = 2
	lastNetworkID  = 16383
)

// checkSize asks the same functions that build the machine.
func checkSize(vm *v1alpha2.VirtualMachine) field.ErrorList {
	var errs field.ErrorList
	var problem *kubevirt.FieldError
	if _, err := kubevirt.TopologyOf(vm.Spec.CPU.Cores); errors.As(err, &problem) {
		errs = append(errs, field.Invalid(specPath.Child("cpu", "cores"), vm.Spec.CPU.Cores, problem.Problem+": "+problem.Remedy))
	}
	if vm.Spec.Memory.Size.Sign() <= 0 {
		errs = append(errs, field.Invalid(specPath.Child("memory", "size"), vm.Spec.Memory.Size.String(), "use a size such as 1Gi"))
	}
	return errs
}

// checkClass refuses a size that no policy of the class allows. A class that is
// not there yet may come.
func checkClass(vm *v1alpha2.VirtualMachine, class *v1alpha2.VirtualMachineClass) (field.ErrorList, []string) {
	if class == nil {
		return nil, []string{fmt.Sprintf("virtual machine class %q does not exist: the machine waits for it", vm.Spec.VirtualMachineClassName)}
	}
	if err := sizing.Match(class.Spec.SizingPolicies, &vm.Spec); err != nil {
		return field.ErrorList{field.Forbidden(specPath, fmt.Sprintf("class %q: %s", class.Name, err))}, nil
	}
	return nil, nil
}

func checkBlockDevices(vm *v1alpha2.VirtualMachine, firstIsPlain bool) field.ErrorList {
	path, refs := specPath.Child("blockDeviceRefs"), vm.Spec.BlockDeviceRefs
	var errs field.ErrorList
	if len(refs) > maxBlockDevices {
		errs = append(errs, field.TooMany(path, len(refs), maxBlockDevices))
	}
	for i, ref := range refs {
		if slices.Contains(refs[:i], ref) {
			errs = append(errs, field.Duplicate(path.Index(i), fmt.Sprintf("%s %s", ref.Kind, ref.Name)))
		}
	}
	if firstIsPlain {
		errs = append(errs, field.Invalid(path.Index(0), refs[0].Name, "nothing can boot from a read-only image that is no ISO: put a VirtualDisk first"))
	}
	return errs
}

func checkNetworks(networks []v1alpha2.NetworkSpec) field.ErrorList {
	path := specPath.Child("networks")
	var errs field.ErrorList
	seen := map[int]bool{}
	for i, n := range networks {
		at := path.Index(i)
		main := n.Type == v1alpha2.NetworkMain
		switch {
		case main && i > 0:
			errs = append(errs, field.Invalid(at, n.Type, "the network of type Main comes first, and once"))
		case main && n.Name != "":
			errs = append(errs, field.Forbidden(at.Child("name"), "the network of type Main has no name"))
		case !main && n.Name == "":
			errs = append(errs, field.Required(at.Child("name"), "name the network"))
		}
		if n.ID == nil {
			continue
		}
		if seen[*n.ID] {
			errs = append(errs, field.Duplicate(at.Child("id"), *n.ID))
		}
		seen[*n.ID] = true
		if !allowedID(main, *n.ID) {
			errs = append(errs, field.Invalid(at.Child("id"), *n.ID, fmt.Sprintf("use %d for type Main and %d to %d for others", mainNetworkID, firstNetworkID, lastNetworkID)))
		}
	}
	return errs
}

func allowedID(main bool, id int) bool {
	if main {
		return id == mainNetworkID
	}
	return id >= firstNetworkID && id <= lastNetworkID
}

func checkUSB(devices []v1alpha2.USBDeviceSpecRef) field.ErrorList {
	var errs field.ErrorList
	for i, d := range devices {
		if slices.Contains(devices[:i], d) {
			errs = append(errs, field.Duplicate(specPath.Child("usbDevices").Index(i), d.Name))
		}
	}
	return errs
}

// checkPlacement refuses selectors and constraints that no scheduler accepts.
func checkPlacement(spec *v1alpha2.VirtualMachineSpec) field.ErrorList {
	var errs field.ErrorList
	if a := spec.Affinity; a != nil {
		path := specPath.Child("affinity")
		errs = append(errs, checkNodeAffinity(a.NodeAffinity, path.Child("nodeAffinity"))...)
		if p := a.VirtualMachineAndPodAffinity; p != nil {
			errs = append(errs, checkTerms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("virtualMachineAndPodAffinity"))...)
		}
		if p := a.VirtualMachineAndPodAntiAffinity; p != nil {
			errs = append(errs, checkTerms(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution, path.Child("virtualMachineAndPodAntiAffinity"))...)
		}
	}
	for i, c := range spec.TopologySpreadConstraints {
		errs = append(errs, checkSpread(c, specPath.Child("topologySpreadConstraints").Index(i))...)
	}
	return errs
}

func checkTerms(required []v1alpha2.VirtualMachineAndPodAffinityTerm, preferred []v1alpha2.WeightedVirtualMachineAndPodAffinityTerm, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, term := range required {
		errs = append(errs, checkTerm(term, path.Child("requiredDuringSchedulingIgnoredDuringExecution").Index(i))...)
	}
	for i, term := range preferred {
		at := path.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i).Child("virtualMachineAndPodAffinityTerm")
		errs = append(errs, checkTerm(term.VirtualMachineAndPodAffinityTerm, at)...)
	}
	return errs
}

func checkTerm(term v1alpha2.VirtualMachineAndPodAffinityTerm, path *field.Path) field.ErrorList {
	errs := checkSelector(term.LabelSelector, path.Child("labelSelector"))
	errs = append(errs, checkSelector(term.NamespaceSelector, path.Child("namespaceSelector"))...)
	if term.TopologyKey == "" {
		errs = append(errs, field.Required(path.Child("topologyKey"), "name a node label, such as kubernetes.io/hostname"))
	}
	return errs
}

func checkSelector(selector *metav1.LabelSelector, path *field.Path) field.ErrorList {
	return metavalidation.ValidateLabelSelector(selector, metavalidation.LabelSelectorValidationOptions{}, path)
}

func checkSpread(c corev1.TopologySpreadConstraint, path *field.Path) field.ErrorList {
	errs := checkSelector(c.LabelSelector, path.Child("labelSelector"))
	if c.MaxSkew < 1 {
		errs = append(errs, field.Invalid(path.Child("maxSkew"), c.MaxSkew, "use at least 1"))
	}
	if c.TopologyKey == "" {
		errs = append(errs, field.Required(path.Child("topologyKey"), "name a node label, such as kubernetes.io/hostname"))
	}
	actions := []corev1.UnsatisfiableConstraintAction{corev1.DoNotSchedule, corev1.ScheduleAnyway}
	if !slices.Contains(actions, c.WhenUnsatisfiable) {
		errs = append(errs, field.NotSupported(path.Child("whenUnsatisfiable"), c.WhenUnsatisfiable, actions))
	}
	return errs
}

var nodeOperators = []corev1.NodeSelectorOperator{
	corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist,
	corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt,
}

func checkNodeAffinity(affinity *corev1.NodeAffinity, path *field.Path) field.ErrorList {
	if affinity == nil {
		return nil
	}
	var errs field.ErrorList
	if required := affinity.RequiredDuringSchedulingIgnoredDuringExecution; required != nil {
		at := path.Child("requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
		if len(required.NodeSelectorTerms) == 0 {
			errs = append(errs, field.Required(at, "give at least one term"))
		}
		for i, term := range required.NodeSelectorTerms {
			errs = append(errs, checkRequirements(term.MatchExpressions, at.Index(i).Child("matchExpressions"))...)
		}
	}
	for i, term := range affinity.PreferredDuringSchedulingIgnoredDuringExecution {
		at := path.Child("preferredDuringSchedulingIgnoredDuringExecution").Index(i)
		if term.Weight < 1 || term.Weight > 100 {
			errs = append(errs, field.Invalid(at.Child("weight"), term.Weight, "use 1 to 100"))
		}
		errs = append(errs, checkRequirements(term.Preference.MatchExpressions, at.Child("preference", "matchExpressions"))...)
	}
	return errs
}

func checkRequirements(requirements []corev1.NodeSelectorRequirement, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, r := range requirements {
		at := path.Index(i)
		valueless := r.Operator == corev1.NodeSelectorOpExists || r.Operator == corev1.NodeSelectorOpDoesNotExist
		switch {
		case !slices.Contains(nodeOperators, r.Operator):
			errs = append(errs, field.NotSupported(at.Child("operator"), r.Operator, nodeOperators))
		case valueless && len(r.Values) > 0:
			errs = append(errs, field.Forbidden(at.Child("values"), fmt.Sprintf("%s takes no values", r.Operator)))
		case !valueless && len(r.Values) == 0:
			errs = append(errs, field.Required(at.Child("values"), fmt.Sprintf("%s takes values", r.Operator)))
		}
		if r.Key == "" {
			errs = append(errs, field.Required(at.Child("key"), "name a node label"))
		}
	}
	return errs
}
