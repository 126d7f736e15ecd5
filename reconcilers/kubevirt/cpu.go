package kubevirt

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

const (
	milliCores = int64(1000)
	percent    = int64(100)

	// featureBaseModel is the model to which classes add features.
	featureBaseModel = "qemu64"

	featureRequired = "require"
	featureOptional = "optional"
)

// socketSteps are the largest core counts for a number of sockets.
var socketSteps = []struct{ cores, sockets int32 }{{16, 1}, {32, 2}, {64, 4}}

const mostSockets = int32(8)

// Topology is how a machine's cores are laid out. Each core has one thread.
type Topology struct {
	Sockets        int32
	CoresPerSocket int32
}

// TopologyOf spreads cores over 1 socket up to 16, 2 up to 32, 4 up to 64 and 8
// beyond, and refuses a count that does not divide evenly.
func TopologyOf(cores int32) (Topology, error) {
	sockets := mostSockets
	for _, step := range socketSteps {
		if cores <= step.cores {
			sockets = step.sockets
			break
		}
	}
	if cores < 1 || cores%sockets != 0 {
		return Topology{}, invalid("spec.cpu.cores", fmt.Sprintf("%d cores do not spread evenly over %d sockets", cores, sockets),
			fmt.Sprintf("use a multiple of %d", sockets))
	}
	return Topology{Sockets: sockets, CoresPerSocket: cores / sockets}, nil
}

// RequestedCPU is the share of the node's processors that a machine reserves:
// its cores times its core fraction.
func RequestedCPU(spec *v1alpha2.VirtualMachineSpec) (resource.Quantity, error) {
	fraction, err := strconv.ParseInt(strings.TrimSuffix(cmp.Or(spec.CPU.CoreFraction, "100%"), "%"), 10, 64)
	if err != nil || fraction < 1 || fraction > percent {
		return resource.Quantity{}, invalid("spec.cpu.coreFraction", fmt.Sprintf("%q is not a percentage", spec.CPU.CoreFraction), "use 1% to 100%")
	}
	milli := (int64(spec.CPU.Cores)*milliCores*fraction + percent - 1) / percent
	return *resource.NewMilliQuantity(milli, resource.DecimalSI), nil
}

// processor is the topology of the machine with the model of its class.
func processor(spec *v1alpha2.VirtualMachineSpec, class *v1alpha2.VirtualMachineClass) (*kubevirtv1.CPU, error) {
	topology, err := TopologyOf(spec.CPU.Cores)
	if err != nil {
		return nil, err
	}
	cpu := &kubevirtv1.CPU{
		Cores:      uint32(topology.CoresPerSocket),
		Sockets:    uint32(topology.Sockets),
		MaxSockets: uint32(topology.Sockets),
		Threads:    1,
	}
	return cpu, setModel(cpu, class)
}

func setModel(cpu *kubevirtv1.CPU, class *v1alpha2.VirtualMachineClass) error {
	switch spec := class.Spec.CPU; spec.Type {
	case v1alpha2.CPUTypeHost:
		cpu.Model = kubevirtv1.CPUModeHostModel
	case v1alpha2.CPUTypeHostPassthrough:
		cpu.Model = kubevirtv1.CPUModeHostPassthrough
	case v1alpha2.CPUTypeModel:
		cpu.Model = spec.Model
	case v1alpha2.CPUTypeFeatures:
		setFeatures(cpu, spec.Features)
	case v1alpha2.CPUTypeDiscovery:
		setFeatures(cpu, class.Status.CPUFeatures.Enabled)
	default:
		return invalid("spec.cpu.type", fmt.Sprintf("class %q has the unknown type %q", class.Name, spec.Type), "use another class")
	}
	return nil
}

// setFeatures requires the listed features of the base model. invtsc hinders
// migration and svm is missing on Intel, so both are taken only where present.
func setFeatures(cpu *kubevirtv1.CPU, features []string) {
	cpu.Model = featureBaseModel
	nested := false
	for _, name := range features {
		policy := featureRequired
		if name == "invtsc" {
			policy = featureOptional
		}
		nested = nested || name == "svm"
		cpu.Features = append(cpu.Features, kubevirtv1.CPUFeature{Name: name, Policy: policy})
	}
	if !nested {
		cpu.Features = append(cpu.Features, kubevirtv1.CPUFeature{Name: "svm", Policy: featureOptional})
	}
}

// sizes reserves the core fraction and all of the memory.
func sizes(spec *v1alpha2.VirtualMachineSpec) (kubevirtv1.ResourceRequirements, error) {
	if spec.Memory.Size.Sign() <= 0 {
		return kubevirtv1.ResourceRequirements{}, invalid("spec.memory.size", fmt.Sprintf("%s is not a size", spec.Memory.Size.String()), "use a size such as 1Gi")
	}
	request, err := RequestedCPU(spec)
	if err != nil {
		return kubevirtv1.ResourceRequirements{}, err
	}
	return kubevirtv1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: request, corev1.ResourceMemory: spec.Memory.Size},
		Limits: corev1.ResourceList{
			corev1.ResourceCPU:    *resource.NewQuantity(int64(spec.CPU.Cores), resource.DecimalSI),
			corev1.ResourceMemory: spec.Memory.Size,
		},
	}, nil
}
