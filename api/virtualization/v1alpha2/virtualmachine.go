package v1alpha2

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// VirtualMachine is a machine: its size, its disks, its first-boot data, where it may run and when it should.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:categories={all,virtualization},scope=Namespaced,shortName={vm},singular=virtualmachine
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="PhaseAge",type="date",JSONPath=".status.stats.phasesTransitions[-1].timestamp"
// +kubebuilder:printcolumn:name="Cores",type="string",JSONPath=".status.resources.cpu.cores",priority=1
// +kubebuilder:printcolumn:name="CoreFraction",type="string",JSONPath=".status.resources.cpu.coreFraction",priority=1
// +kubebuilder:printcolumn:name="Memory",type="string",JSONPath=".status.resources.memory.size",priority=1
// +kubebuilder:printcolumn:name="Need restart",type="string",JSONPath=".status.conditions[?(@.type=='AwaitingRestartToApplyConfiguration')].status",priority=1
// +kubebuilder:printcolumn:name="Agent",type="string",JSONPath=".status.conditions[?(@.type=='AgentReady')].status",priority=1
// +kubebuilder:printcolumn:name="Migratable",type="string",JSONPath=".status.conditions[?(@.type=='Migratable')].status",priority=1
// +kubebuilder:printcolumn:name="Node",type="string",JSONPath=".status.nodeName"
// +kubebuilder:printcolumn:name="IPAddress",type="string",JSONPath=".status.ipAddress"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
type VirtualMachine struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec VirtualMachineSpec `json:"spec"`
	// +optional
	Status VirtualMachineStatus `json:"status,omitzero"`
}

// VirtualMachineList is a list of VirtualMachine.
//
// +kubebuilder:object:root=true
type VirtualMachineList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []VirtualMachine `json:"items"`
}

// VirtualMachineSpec is the wanted machine.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.cpu.coreFraction) || (self.cpu.coreFraction.endsWith("%") && int(self.cpu.coreFraction.replace("%", "")) >= 1 && int(self.cpu.coreFraction.replace("%", "")) <= 100)`,message="coreFraction is a percentage from 1% to 100%"
type VirtualMachineSpec struct {
	// RunPolicy says when the machine should run.
	// +kubebuilder:default=AlwaysOnUnlessStoppedManually
	// +kubebuilder:validation:Enum=AlwaysOn;AlwaysOff;Manual;AlwaysOnUnlessStoppedManually
	// +optional
	RunPolicy RunPolicy `json:"runPolicy,omitempty"`
	// VirtualMachineClassName is the class that decides on CPU model, placement and allowed sizes. Admission fills an
	// empty name with the default class.
	// +kubebuilder:validation:MinLength=1
	VirtualMachineClassName string `json:"virtualMachineClassName"`
	// CPU of the machine.
	CPU CPUSpec `json:"cpu"`
	// Memory of the machine.
	Memory MemorySpec `json:"memory"`
	// BlockDeviceRefs are the disks and images of the machine, in boot order.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	BlockDeviceRefs []BlockDeviceSpecRef `json:"blockDeviceRefs"`
	// Provisioning is what the guest applies on its first boot.
	// +optional
	Provisioning *Provisioning `json:"provisioning,omitempty"`
	// VirtualMachineIPAddressName is the address object to use; empty means one is made for the machine.
	// +kubebuilder:validation:MinLength=1
	// +optional
	VirtualMachineIPAddressName string `json:"virtualMachineIPAddressName,omitempty"`
	// Networks of the machine; empty means the main network.
	// +optional
	Networks []NetworkSpec `json:"networks,omitempty"`
	// Bootloader that starts the guest. Default: BIOS.
	// +kubebuilder:default=BIOS
	// +kubebuilder:validation:Enum=BIOS;EFI;EFIWithSecureBoot
	// +optional
	Bootloader Bootloader `json:"bootloader,omitempty"`
	// OSType tunes the virtual hardware for an operating system.
	// +kubebuilder:default=Generic
	// +kubebuilder:validation:Enum=Windows;Generic
	// +optional
	OSType OSType `json:"osType,omitempty"`
	// EnableParavirtualization attaches disks and networks by virtio; without it they are SATA and e1000e.
	// +kubebuilder:default=true
	// +optional
	EnableParavirtualization *bool `json:"enableParavirtualization,omitempty"`
	// TerminationGracePeriodSeconds is how long a guest may take to shut down before it is switched off.
	// +kubebuilder:default=60
	// +optional
	TerminationGracePeriodSeconds *int64 `json:"terminationGracePeriodSeconds,omitempty"`
	// Disruptions says how changes that need a restart take effect.
	// +kubebuilder:default={restartApprovalMode: Manual}
	// +optional
	Disruptions *Disruptions `json:"disruptions,omitempty"`
	// LiveMigrationPolicy says how the machine may be moved while it runs.
	// +kubebuilder:default=PreferSafe
	// +kubebuilder:validation:Enum=AlwaysSafe;PreferSafe;AlwaysForced;PreferForced
	// +optional
	LiveMigrationPolicy LiveMigrationPolicy `json:"liveMigrationPolicy,omitempty"`
	// NodeSelector holds labels that the machine's node must have.
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// Affinity towards nodes, other machines and pods.
	// +optional
	Affinity *VMAffinity `json:"affinity,omitempty"`
	// Tolerations for node taints.
	// +optional
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// TopologySpreadConstraints spread machines over failure domains.
	// +optional
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	// PriorityClassName of the machine's pod.
	// +kubebuilder:validation:MinLength=1
	// +optional
	PriorityClassName string `json:"priorityClassName,omitempty"`
	// USBDevices to pass through.
	// +kubebuilder:validation:MaxItems=8
	// +optional
	USBDevices []USBDeviceSpecRef `json:"usbDevices,omitempty"`
}

// RunPolicy says when a machine should run.
type RunPolicy string

// Run policies.
const (
	// AlwaysOnPolicy starts the machine again whenever it stops.
	AlwaysOnPolicy RunPolicy = "AlwaysOn"
	// AlwaysOffPolicy keeps the machine off.
	AlwaysOffPolicy RunPolicy = "AlwaysOff"
	// ManualPolicy leaves the power to operations and to the guest.
	ManualPolicy RunPolicy = "Manual"
	// AlwaysOnUnlessStoppedManually starts the machine again unless an operation or the guest itself shut it down.
	AlwaysOnUnlessStoppedManually RunPolicy = "AlwaysOnUnlessStoppedManually"
)

// CPUSpec is a machine's processor.
type CPUSpec struct {
	// Cores that the guest sees.
	// +kubebuilder:validation:Minimum=1
	Cores int32 `json:"cores"`
	// CoreFraction is the guaranteed share of each core, such as 50%. Default: the class's, else 100%.
	// +kubebuilder:validation:Pattern=`^(100|[1-9][0-9]?|[1-9])%$`
	// +optional
	CoreFraction string `json:"coreFraction,omitempty"`
}

// MemorySpec is a machine's memory.
type MemorySpec struct {
	// Size of the memory.
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$`
	Size resource.Quantity `json:"size"`
}

// BlockDeviceKind is a kind that a machine can attach.
type BlockDeviceKind string

// Kinds that a machine can attach.
const (
	// DiskDevice is a VirtualDisk: writable, one machine at a time.
	DiskDevice BlockDeviceKind = VirtualDiskKind
	// ImageDevice is a VirtualImage: read-only.
	ImageDevice BlockDeviceKind = VirtualImageKind
	// ClusterImageDevice is a ClusterVirtualImage: read-only.
	ClusterImageDevice BlockDeviceKind = ClusterVirtualImageKind
)

// BlockDeviceSpecRef names a disk or image of a machine.
type BlockDeviceSpecRef struct {
	// Kind of the device.
	// +kubebuilder:validation:Enum=ClusterVirtualImage;VirtualImage;VirtualDisk
	// +optional
	Kind BlockDeviceKind `json:"kind,omitempty"`
	// Name of the device; in the machine's own namespace unless the kind is cluster-wide.
	// +kubebuilder:validation:MinLength=1
	// +optional
	Name string `json:"name,omitempty"`
}

// Provisioning is what a guest applies on its first boot.
//
// +kubebuilder:validation:XValidation:rule="self.type == 'UserData' ? has(self.userData) && !has(self.userDataRef) && !has(self.sysprepRef) : true",message="type UserData needs userData, and neither userDataRef nor sysprepRef"
// +kubebuilder:validation:XValidation:rule="self.type == 'UserDataRef' ? has(self.userDataRef) && !has(self.userData) && !has(self.sysprepRef) : true",message="type UserDataRef needs userDataRef, and neither userData nor sysprepRef"
// +kubebuilder:validation:XValidation:rule="self.type == 'SysprepRef' ? has(self.sysprepRef) && !has(self.userData) && !has(self.userDataRef) : true",message="type SysprepRef needs sysprepRef, and neither userData nor userDataRef"
type Provisioning struct {
	// Type of the data; the field of the same name must be set, and no other.
	// +kubebuilder:validation:Enum=UserData;UserDataRef;SysprepRef
	Type ProvisioningType `json:"type"`
	// UserData is a cloud-init document, at most 2048 characters; larger ones go into a Secret.
	// +kubebuilder:validation:XValidation:rule="size(self) <= 2048",message="userData is longer than 2048 characters: put it into a Secret and use userDataRef"
	// +optional
	UserData string `json:"userData,omitempty"`
	// UserDataRef is a Secret of type provisioning.virtualization.deckhouse.io/cloud-init.
	// +optional
	UserDataRef *UserDataRef `json:"userDataRef,omitempty"`
	// SysprepRef is a Secret of type provisioning.virtualization.deckhouse.io/sysprep.
	// +optional
	SysprepRef *SysprepRef `json:"sysprepRef,omitempty"`
}

// ProvisioningType is a form of first-boot data.
type ProvisioningType string

// Forms of first-boot data.
const (
	ProvisioningTypeUserData    ProvisioningType = "UserData"
	ProvisioningTypeUserDataRef ProvisioningType = "UserDataRef"
	ProvisioningTypeSysprepRef  ProvisioningType = "SysprepRef"
)

// Types of Secrets that hold first-boot data.
const (
	// SecretTypeCloudInit holds a cloud-init document under the key userData or userdata.
	SecretTypeCloudInit corev1.SecretType = "provisioning.virtualization.deckhouse.io/cloud-init"
	// SecretTypeSysprep holds Windows answer files under the keys unattend.xml and autounattend.xml.
	SecretTypeSysprep corev1.SecretType = "provisioning.virtualization.deckhouse.io/sysprep"
)

// UserDataRef names a Secret with a cloud-init document.
type UserDataRef struct {
	// Kind is Secret.
	// +kubebuilder:default=Secret
	// +kubebuilder:validation:Enum=Secret
	Kind UserDataRefKind `json:"kind"`
	// Name of the Secret in the machine's namespace.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// UserDataRefKind is the kind of an object with a cloud-init document.
type UserDataRefKind string

// UserDataRefSecret is the only kind of object with a cloud-init document.
const UserDataRefSecret UserDataRefKind = "Secret"

// SysprepRef names a Secret with Windows answer files.
type SysprepRef struct {
	// Kind is Secret.
	// +kubebuilder:default=Secret
	// +kubebuilder:validation:Enum=Secret
	Kind SysprepRefKind `json:"kind"`
	// Name of the Secret in the machine's namespace.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}

// SysprepRefKind is the kind of an object with Windows answer files.
type SysprepRefKind string

// SysprepRefSecret is the only kind of object with Windows answer files.
const SysprepRefSecret SysprepRefKind = "Secret"

// NetworkSpec is one network interface of a machine.
type NetworkSpec struct {
	// ID of the interface: 1 for the main network, from 2 on for others. Admission fills it.
	// +optional
	ID *int `json:"id,omitempty"`
	// Type of the network.
	// +kubebuilder:validation:Enum=Main;Network;ClusterNetwork
	Type NetworkType `json:"type"`
	// Name of the network; not for the main one.
	// +kubebuilder:validation:MinLength=1
	// +optional
	Name string `json:"name,omitempty"`
	// VirtualMachineMACAddressName is the address object to use; empty means one is made for the interface.
	// +kubebuilder:validation:MinLength=1
	// +optional
	VirtualMachineMACAddressName string `json:"virtualMachineMACAddressName,omitempty"`
}

// NetworkType is a sort of network.
type NetworkType string

// Sorts of networks.
const (
	// NetworkMain is the cluster's pod network.
	NetworkMain NetworkType = "Main"
	// NetworkNamespaced is an additional network of the machine's namespace.
	NetworkNamespaced NetworkType = "Network"
	// NetworkCluster is an additional network of the whole cluster.
	NetworkCluster NetworkType = "ClusterNetwork"
)

// Bootloader is the firmware that starts a guest.
type Bootloader string

// Firmwares.
const (
	BIOS              Bootloader = "BIOS"
	EFI               Bootloader = "EFI"
	EFIWithSecureBoot Bootloader = "EFIWithSecureBoot"
)

// OSType is a sort of guest operating system.
type OSType string

// Sorts of guest operating systems.
const (
	GenericOS OSType = "Generic"
	Windows   OSType = "Windows"
)

// Disruptions says how changes that need a restart take effect.
type Disruptions struct {
	// RestartApprovalMode says who decides on the restart.
	// +kubebuilder:validation:Enum=Manual;Automatic
	// +optional
	RestartApprovalMode RestartApprovalMode `json:"restartApprovalMode,omitempty"`
}

// RestartApprovalMode says who decides on a restart.
type RestartApprovalMode string

// Restart approval modes.
const (
	// RestartManual waits for a restart by an operation.
	RestartManual RestartApprovalMode = "Manual"
	// RestartAutomatic restarts the machine as soon as a change needs it.
	RestartAutomatic RestartApprovalMode = "Automatic"
)

// LiveMigrationPolicy says how a machine may be moved while it runs. Forced means that the guest may be slowed down
// so that the move ends.
type LiveMigrationPolicy string

// Live migration policies.
const (
	// LiveMigrationAlwaysSafe never slows the guest down.
	LiveMigrationAlwaysSafe LiveMigrationPolicy = "AlwaysSafe"
	// LiveMigrationPreferSafe slows the guest down only when an operation asks for it.
	LiveMigrationPreferSafe LiveMigrationPolicy = "PreferSafe"
	// LiveMigrationAlwaysForced always may slow the guest down.
	LiveMigrationAlwaysForced LiveMigrationPolicy = "AlwaysForced"
	// LiveMigrationPreferForced may slow the guest down unless an operation forbids it.
	LiveMigrationPreferForced LiveMigrationPolicy = "PreferForced"
)

// USBDeviceSpecRef names a USB device to pass through.
type USBDeviceSpecRef struct {
	// Name of the USBDevice in the machine's namespace.
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`
}
