package v1alpha2

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// MachinePhase is the summary of a machine's conditions.
type MachinePhase string

// Phases of VirtualMachine.
const (
	// MachinePending waits for what the machine depends on.
	MachinePending MachinePhase = "Pending"
	// MachineStarting is being started.
	MachineStarting MachinePhase = "Starting"
	// MachineRunning runs.
	MachineRunning MachinePhase = "Running"
	// MachinePause is halted with its memory kept.
	MachinePause MachinePhase = "Pause"
	// MachineMigrating moves to another node while it runs.
	MachineMigrating MachinePhase = "Migrating"
	// MachineStopping is shutting down.
	MachineStopping MachinePhase = "Stopping"
	// MachineStopped is off.
	MachineStopped MachinePhase = "Stopped"
	// MachineDegraded cannot be started or does not run as it should.
	MachineDegraded MachinePhase = "Degraded"
	// MachineTerminating is being deleted.
	MachineTerminating MachinePhase = "Terminating"
)

// VirtualMachineStatus is what was observed of the machine.
type VirtualMachineStatus struct {
	// Phase sums the conditions up.
	// +kubebuilder:validation:Enum=Pending;Running;Degraded;Terminating;Stopped;Stopping;Starting;Migrating;Pause
	// +optional
	Phase MachinePhase `json:"phase,omitempty"`
	// NodeName is the node that runs the machine.
	// +optional
	NodeName string `json:"nodeName,omitempty"`
	// VirtualMachineIPAddressName is the address object in use.
	// +optional
	VirtualMachineIPAddressName string `json:"virtualMachineIPAddressName,omitempty"`
	// IPAddress of the machine in the main network.
	// +optional
	IPAddress string `json:"ipAddress,omitempty"`
	// BlockDeviceRefs are the devices attached, or still to be.
	// +optional
	BlockDeviceRefs []BlockDeviceStatusRef `json:"blockDeviceRefs,omitempty"`
	// GuestOSInfo is what the guest agent tells of the operating system.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=object
	// +kubebuilder:pruning:PreserveUnknownFields
	// +optional
	GuestOSInfo GuestOSInfo `json:"guestOSInfo,omitzero"`
	// Resources that the running machine has.
	// +optional
	Resources ResourcesStatus `json:"resources,omitzero"`
	// Versions of the software that runs the machine.
	// +optional
	Versions Versions `json:"versions,omitzero"`
	// VirtualMachinePods are the pods that hold, or held, the machine.
	// +optional
	VirtualMachinePods []VirtualMachinePod `json:"virtualMachinePods,omitempty"`
	// Networks of the machine.
	// +optional
	Networks []NetworkStatus `json:"networks,omitempty"`
	// USBDevices of the machine.
	// +optional
	USBDevices []USBDeviceStatusRef `json:"usbDevices,omitempty"`
	// MigrationState is the last move to another node.
	// +optional
	MigrationState *VirtualMachineMigrationState `json:"migrationState,omitempty"`
	// Stats are the last phases and the durations of the last start.
	// +optional
	Stats *VirtualMachineStats `json:"stats,omitempty"`
	// RestartAwaitingChanges are the differences from the spec that need a restart.
	// +optional
	RestartAwaitingChanges []RestartAwaitingChange `json:"restartAwaitingChanges,omitempty"`
	// Conditions of the machine; types and reasons are in package vmcondition. Many are present only when something is
	// not as usual.
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// ObservedGeneration is the generation of the spec that this status describes.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
}

// RestartAwaitingChange is one difference from the spec that needs a restart.
//
// +kubebuilder:pruning:PreserveUnknownFields
type RestartAwaitingChange struct {
	// Operation on the path.
	// +optional
	Operation ChangeOperation `json:"operation,omitempty"`
	// Path in the spec, such as cpu.cores.
	// +optional
	Path string `json:"path,omitempty"`
	// CurrentValue that the running machine has.
	// +optional
	CurrentValue *apiextensionsv1.JSON `json:"currentValue,omitempty"`
	// DesiredValue that the spec has.
	// +optional
	DesiredValue *apiextensionsv1.JSON `json:"desiredValue,omitempty"`
}

// ChangeOperation is a sort of difference.
type ChangeOperation string

// Sorts of differences.
const (
	ChangeAdd     ChangeOperation = "add"
	ChangeRemove  ChangeOperation = "remove"
	ChangeReplace ChangeOperation = "replace"
)

// BlockDeviceStatusRef is a device as a machine has it.
type BlockDeviceStatusRef struct {
	// Kind of the device.
	// +kubebuilder:validation:Enum=ClusterVirtualImage;VirtualImage;VirtualDisk
	Kind BlockDeviceKind `json:"kind"`
	// Name of the device.
	Name string `json:"name"`
	// Size of the device.
	Size string `json:"size"`
	// Attached tells that the guest has the device now.
	Attached bool `json:"attached"`
	// Target is the device's name in the guest, such as sda.
	// +optional
	Target string `json:"target,omitempty"`
	// Hotplugged tells that the device was attached while the machine ran.
	// +optional
	Hotplugged bool `json:"hotplugged,omitempty"`
	// VirtualMachineBlockDeviceAttachmentName is the attachment by which the device came.
	// +optional
	VirtualMachineBlockDeviceAttachmentName string `json:"virtualMachineBlockDeviceAttachmentName,omitempty"`
}

// GuestOSInfo is what the guest agent tells of the operating system.
type GuestOSInfo struct {
	// Name of the operating system.
	Name string `json:"name,omitempty"`
	// KernelRelease as uname prints it.
	KernelRelease string `json:"kernelRelease,omitempty"`
	// KernelVersion as uname prints it.
	KernelVersion string `json:"kernelVersion,omitempty"`
	// Version of the operating system.
	Version string `json:"version,omitempty"`
	// VersionID of the operating system, for programs.
	VersionID string `json:"versionId,omitempty"`
	// PrettyName of the operating system, with its version.
	PrettyName string `json:"prettyName,omitempty"`
	// Machine is the hardware name, such as x86_64.
	Machine string `json:"machine,omitempty"`
	// ID of the operating system, for programs.
	ID string `json:"id,omitempty"`
}

// ResourcesStatus are the resources that a running machine has.
type ResourcesStatus struct {
	// CPU of the machine.
	// +optional
	CPU CPUStatus `json:"cpu,omitzero"`
	// Memory of the machine.
	// +optional
	Memory MemoryStatus `json:"memory,omitzero"`
}

// CPUStatus is the processor of a running machine.
type CPUStatus struct {
	// Cores that the guest sees.
	Cores int `json:"cores"`
	// CoreFraction is the guaranteed share of each core.
	// +optional
	CoreFraction string `json:"coreFraction,omitempty"`
	// RequestedCores are the cores reserved on the node.
	// +optional
	RequestedCores resource.Quantity `json:"requestedCores,omitempty"`
	// RuntimeOverhead is what the emulator takes beside the guest.
	// +optional
	RuntimeOverhead resource.Quantity `json:"runtimeOverhead,omitempty"`
	// Topology in which the guest sees the cores.
	// +optional
	Topology *CPUTopology `json:"topology,omitempty"`
}

// CPUTopology is how cores are spread over sockets.
type CPUTopology struct {
	// CoresPerSocket in each socket.
	CoresPerSocket int `json:"coresPerSocket"`
	// Sockets of the machine.
	Sockets int `json:"sockets"`
}

// MemoryStatus is the memory of a running machine.
type MemoryStatus struct {
	// Size that the guest sees.
	Size resource.Quantity `json:"size"`
	// RuntimeOverhead is what the emulator takes beside the guest.
	// +optional
	RuntimeOverhead resource.Quantity `json:"runtimeOverhead,omitempty"`
}

// Versions of the software that runs a machine.
type Versions struct {
	// QEMU version.
	// +optional
	QEMU string `json:"qemu,omitempty"`
	// Libvirt version.
	// +optional
	Libvirt string `json:"libvirt,omitempty"`
}

// VirtualMachinePod is a pod that holds, or held, a machine.
type VirtualMachinePod struct {
	// Name of the pod.
	Name string `json:"name"`
	// Active tells that the machine runs in this pod now.
	Active bool `json:"active"`
}

// NetworkStatus is one network interface of a machine.
type NetworkStatus struct {
	// ID of the interface.
	// +optional
	ID int `json:"id,omitempty"`
	// Type of the network.
	Type NetworkType `json:"type"`
	// Name of the network.
	// +optional
	Name string `json:"name,omitempty"`
	// MACAddress of the interface.
	// +optional
	MACAddress string `json:"macAddress,omitempty"`
	// VirtualMachineMACAddressName is the address object in use.
	// +optional
	VirtualMachineMACAddressName string `json:"virtualMachineMACAddressName,omitempty"`
}

// USBDeviceStatusRef is a USB device as a machine has it.
type USBDeviceStatusRef struct {
	// Name of the USBDevice.
	Name string `json:"name"`
	// Attached tells that the guest has the device now.
	Attached bool `json:"attached"`
	// Ready tells that the device can be used.
	Ready bool `json:"ready"`
	// Address of the device on the guest's bus.
	// +optional
	Address *USBAddress `json:"address,omitempty"`
	// Hotplugged tells that the device was attached while the machine ran.
	// +optional
	Hotplugged bool `json:"hotplugged,omitempty"`
}

// USBAddress is a place on a guest's USB bus.
type USBAddress struct {
	// Bus number.
	// +optional
	Bus int `json:"bus,omitempty"`
	// Port number.
	// +optional
	Port int `json:"port,omitempty"`
}

// VirtualMachineMigrationState is the last move of a machine to another node.
type VirtualMachineMigrationState struct {
	// StartTimestamp of the move.
	// +nullable
	// +optional
	StartTimestamp *metav1.Time `json:"startTimestamp,omitempty"`
	// EndTimestamp of the move.
	// +nullable
	// +optional
	EndTimestamp *metav1.Time `json:"endTimestamp,omitempty"`
	// Source of the move.
	// +optional
	Source VirtualMachineLocation `json:"source,omitzero"`
	// Target of the move.
	// +optional
	Target VirtualMachineLocation `json:"target,omitzero"`
	// Result of the move; empty while it goes on.
	// +kubebuilder:validation:Enum="";Succeeded;Failed
	// +optional
	Result MigrationResult `json:"result,omitempty"`
}

// VirtualMachineLocation is where a machine runs.
type VirtualMachineLocation struct {
	// Node that runs the machine.
	// +optional
	Node string `json:"node,omitempty"`
	// Pod that holds the machine.
	// +optional
	Pod string `json:"pod,omitempty"`
}

// MigrationResult is how a move of a machine ended.
type MigrationResult string

// Results of a machine's move.
const (
	MigrationSucceeded MigrationResult = "Succeeded"
	MigrationFailed    MigrationResult = "Failed"
)

// VirtualMachineStats are the last phases of a machine and the durations of its last start.
type VirtualMachineStats struct {
	// PhasesTransitions are the last five phases, oldest first.
	// +optional
	PhasesTransitions []PhaseTransition `json:"phasesTransitions,omitempty"`
	// LaunchTimeDuration of the last start.
	// +optional
	LaunchTimeDuration LaunchTimeDuration `json:"launchTimeDuration,omitzero"`
}

// PhaseTransition is the moment a phase began.
type PhaseTransition struct {
	// Phase that began.
	// +kubebuilder:validation:Enum=Pending;Running;Degraded;Terminating;Stopped;Stopping;Starting;Migrating;Pause
	// +optional
	Phase MachinePhase `json:"phase,omitempty"`
	// Timestamp when it began.
	// +nullable
	// +optional
	Timestamp metav1.Time `json:"timestamp,omitzero"`
}

// LaunchTimeDuration is the time a start took, by stage.
type LaunchTimeDuration struct {
	// WaitingForDependencies until disks, class and address were ready.
	// +nullable
	// +optional
	WaitingForDependencies *metav1.Duration `json:"waitingForDependencies,omitempty"`
	// VirtualMachineStarting until the machine ran.
	// +nullable
	// +optional
	VirtualMachineStarting *metav1.Duration `json:"virtualMachineStarting,omitempty"`
	// GuestOSAgentStarting until the guest agent answered.
	// +nullable
	// +optional
	GuestOSAgentStarting *metav1.Duration `json:"guestOSAgentStarting,omitempty"`
}
