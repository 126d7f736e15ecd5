package vmcondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualMachine.
const (
	// VirtualMachineIPAddressReadyType tells whether the machine has its IP address.
	VirtualMachineIPAddressReadyType Type = "VirtualMachineIPAddressReady"
	// VirtualMachineMACAddressReadyType tells whether the machine has its MAC addresses.
	VirtualMachineMACAddressReadyType Type = "VirtualMachineMACAddressReady"
	// VirtualMachineClassReadyType tells whether the machine's class can be used.
	VirtualMachineClassReadyType Type = "VirtualMachineClassReady"
	// BlockDevicesReadyType tells whether the machine's disks and images can be used.
	BlockDevicesReadyType Type = "BlockDevicesReady"
	// RunningType tells whether the guest runs.
	RunningType Type = "Running"
	// MigratingType is present while the machine moves to another node, or is about to.
	MigratingType Type = "Migrating"
	// MigratableType tells whether the machine can move to another node while it runs.
	MigratableType Type = "Migratable"
	// ProvisioningReadyType is present while the first-boot data cannot be used.
	ProvisioningReadyType Type = "ProvisioningReady"
	// AgentReadyType tells whether the guest agent answers.
	AgentReadyType Type = "AgentReady"
	// AgentVersionNotSupportedType is present when the guest agent is too old.
	AgentVersionNotSupportedType Type = "AgentVersionNotSupported"
	// ConfigurationAppliedType is present while the machine differs from its spec.
	ConfigurationAppliedType Type = "ConfigurationApplied"
	// AwaitingRestartToApplyConfigurationType is present while changes wait for a restart.
	AwaitingRestartToApplyConfigurationType Type = "AwaitingRestartToApplyConfiguration"
	// FilesystemFrozenType is present while the guest's file systems are frozen.
	FilesystemFrozenType Type = "FilesystemFrozen"
	// SizingPolicyMatchedType is present while the machine's size is not one its class allows.
	SizingPolicyMatchedType Type = "SizingPolicyMatched"
	// SnapshottingType is present while a snapshot of the machine is taken.
	SnapshottingType Type = "Snapshotting"
	// FirmwareUpToDateType is present while the machine runs on an outdated engine.
	FirmwareUpToDateType Type = "FirmwareUpToDate"
	// EvictionRequiredType is present while the machine must leave its node.
	EvictionRequiredType Type = "EvictionRequired"
	// NetworkReadyType tells whether the additional networks work.
	NetworkReadyType Type = "NetworkReady"
	// MaintenanceType is present while the machine is kept off for work on it.
	MaintenanceType Type = "Maintenance"
)

// Reasons of VirtualMachineIPAddressReady.
const (
	// VirtualMachineIPAddressReady: the address is kept for the machine.
	VirtualMachineIPAddressReady Reason = "VirtualMachineIPAddressReady"
	// VirtualMachineIPAddressNotReady: the address is missing or has no lease yet.
	VirtualMachineIPAddressNotReady Reason = "VirtualMachineIPAddressNotReady"
	// VirtualMachineIPAddressNotAssigned: the guest does not have the address yet.
	VirtualMachineIPAddressNotAssigned Reason = "VirtualMachineIPAddressNotAssigned"
	// VirtualMachineIPAddressNotAvailable: another machine has the address.
	VirtualMachineIPAddressNotAvailable Reason = "VirtualMachineIPAddressNotAvailable"
)

// Reasons of VirtualMachineMACAddressReady.
const (
	// VirtualMachineMACAddressReady: the addresses are kept for the machine.
	VirtualMachineMACAddressReady Reason = "VirtualMachineMACAddressReady"
	// VirtualMachineMACAddressNotReady: an address is missing or has no lease yet.
	VirtualMachineMACAddressNotReady Reason = "VirtualMachineMACAddressNotReady"
	// VirtualMachineMACAddressNotAvailable: another machine has an address.
	VirtualMachineMACAddressNotAvailable Reason = "VirtualMachineMACAddressNotAvailable"
)

// Reasons of VirtualMachineClassReady.
const (
	// VirtualMachineClassReady: the class can be used.
	VirtualMachineClassReady Reason = "VirtualMachineClassReady"
	// VirtualMachineClassNotReady: the class is missing or not ready.
	VirtualMachineClassNotReady Reason = "VirtualMachineClassNotReady"
)

// Reasons of BlockDevicesReady.
const (
	// BlockDevicesReady: all devices can be used.
	BlockDevicesReady Reason = "BlockDevicesReady"
	// WaitingForWaitForFirstConsumerBlockDevicesToBeReady: disks wait for the machine before they are made.
	WaitingForWaitForFirstConsumerBlockDevicesToBeReady Reason = "WaitingForWaitForFirstConsumerBlockDevicesToBeReady"
	// BlockDevicesNotReady: a device is missing, not ready or used by another machine.
	BlockDevicesNotReady Reason = "BlockDevicesNotReady"
	// BlockDeviceLimitExceeded: the machine has more devices than it can have.
	BlockDeviceLimitExceeded Reason = "BlockDeviceLimitExceeded"
)

// Reasons of Running.
const (
	// NotRunning: the machine is off.
	NotRunning Reason = "NotRunning"
	// Running: the guest runs.
	Running Reason = "Running"
	// InternalVirtualMachineError: the engine cannot run the machine; the message says why.
	InternalVirtualMachineError Reason = "InternalVirtualMachineError"
	// PodNotStarted: the machine's pod has not started; the message says why.
	PodNotStarted Reason = "PodNotStarted"
	// PodTerminating: the machine's pod is ending.
	PodTerminating Reason = "PodTerminating"
	// PodNotFound: the machine's pod is missing.
	PodNotFound Reason = "PodNotFound"
	// PodConditionMissing: the machine's pod does not report its state yet.
	PodConditionMissing Reason = "PodConditionMissing"
	// GuestNotRunning: the machine's pod runs, and the guest does not.
	GuestNotRunning Reason = "GuestNotRunning"
)

// Reasons of Migrating.
const (
	// Pending: the move has not begun.
	Pending Reason = "Pending"
	// ReadyToMigrate: the move can begin.
	ReadyToMigrate Reason = "ReadyToMigrate"
	// InProgress: the move goes on.
	InProgress Reason = "InProgress"
)

// Reasons of Migratable.
const (
	// VirtualMachineMigratable: the machine can move.
	VirtualMachineMigratable Reason = "VirtualMachineMigratable"
	// VirtualMachineNonMigratable: the machine cannot move; the message says why.
	VirtualMachineNonMigratable Reason = "VirtualMachineNonMigratable"
	// VirtualMachineDisksNotMigratable: a disk can be reached from one node only.
	VirtualMachineDisksNotMigratable Reason = "VirtualMachineDisksNotMigratable"
	// VirtualMachineDisksShouldBeMigrating: the machine can move if its disks move with it.
	VirtualMachineDisksShouldBeMigrating Reason = "VirtualMachineDisksShouldBeMigrating"
	// VirtualMachineHostDevicesNotMigratable: the machine uses devices of its node.
	VirtualMachineHostDevicesNotMigratable Reason = "VirtualMachineHostDevicesNotMigratable"
)

// Reasons of ProvisioningReady.
const (
	// ProvisioningReady: the first-boot data can be used.
	ProvisioningReady Reason = "ProvisioningReady"
	// ProvisioningNotReady: the first-boot data is missing or not valid.
	ProvisioningNotReady Reason = "ProvisioningNotReady"
)

// Reasons of AgentReady.
const (
	// AgentReady: the agent answers.
	AgentReady Reason = "AgentReady"
	// AgentNotReady: the agent does not answer.
	AgentNotReady Reason = "AgentNotReady"
)

// Reasons of AgentVersionNotSupported.
const (
	// AgentVersionSupported: the agent is recent enough.
	AgentVersionSupported Reason = "AgentVersionSupported"
	// AgentVersionNotSupported: the agent is too old.
	AgentVersionNotSupported Reason = "AgentVersionNotSupported"
)

// Reasons of ConfigurationApplied.
const (
	// ConfigurationApplied: the machine is as its spec says.
	ConfigurationApplied Reason = "ConfigurationApplied"
	// ConfigurationNotApplied: the machine is not yet as its spec says; the message says why.
	ConfigurationNotApplied Reason = "ConfigurationNotApplied"
)

// Reasons of AwaitingRestartToApplyConfiguration.
const (
	// UnexpectedState: it cannot be told whether changes wait for a restart.
	UnexpectedState Reason = "UnexpectedState"
	// ChangesPendingRestart: changes wait for a restart.
	ChangesPendingRestart Reason = "ChangesPendingRestart"
	// NoRestartRequired: nothing waits for a restart.
	NoRestartRequired Reason = "NoRestartRequired"
)

// Reasons of FilesystemFrozen.
const (
	// Frozen: the file systems are frozen.
	Frozen Reason = "Frozen"
)

// Reasons of SizingPolicyMatched.
const (
	// SizingPolicyNotMatched: the class does not allow the size; the message says what it allows.
	SizingPolicyNotMatched Reason = "SizingPolicyNotMatched"
	// VirtualMachineClassTerminating: the class is being deleted.
	VirtualMachineClassTerminating Reason = "VirtualMachineClassTerminating"
	// VirtualMachineClassNotFound: the class is missing.
	VirtualMachineClassNotFound Reason = "VirtualMachineClassNotFound"
)

// Reasons of Snapshotting.
const (
	// WaitingForTheSnapshotToStart: the snapshot has not begun.
	WaitingForTheSnapshotToStart Reason = "WaitingForTheSnapshotToStart"
	// SnapshottingInProgress: the snapshot is being taken.
	SnapshottingInProgress Reason = "SnapshottingInProgress"
)

// Reasons of FirmwareUpToDate.
const (
	// FirmwareUpToDate: the engine is current.
	FirmwareUpToDate Reason = "FirmwareUpToDate"
	// FirmwareOutOfDate: the machine runs on an outdated engine.
	FirmwareOutOfDate Reason = "FirmwareOutOfDate"
)

// Reasons of EvictionRequired.
const (
	// EvictionRequired: the machine must leave its node.
	EvictionRequired Reason = "EvictionRequired"
)

// Reasons of NetworkReady.
const (
	// NetworkReady: the networks work.
	NetworkReady Reason = "NetworkReady"
	// NetworkNotReady: a network does not work; the message says why.
	NetworkNotReady Reason = "NetworkNotReady"
	// SDNModuleDisabled: additional networks are not supported here.
	SDNModuleDisabled Reason = "SDNModuleDisabled"
)

// Reasons of Maintenance.
const (
	// RestoreInProgress: the machine is being put back to a snapshot.
	RestoreInProgress Reason = "RestoreInProgress"
)
