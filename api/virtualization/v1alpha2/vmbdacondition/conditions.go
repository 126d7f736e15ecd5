package vmbdacondition

// Type is a condition's type.
type Type = string

// Reason is a condition's reason.
type Reason = string

// Conditions of VirtualMachineBlockDeviceAttachment.
const (
	// BlockDeviceReadyType tells whether the device can be attached.
	BlockDeviceReadyType Type = "BlockDeviceReady"
	// VirtualMachineReadyType tells whether the machine can take the device.
	VirtualMachineReadyType Type = "VirtualMachineReady"
	// AttachedType tells whether the machine has the device.
	AttachedType Type = "Attached"
	// DiskAttachmentCapacityAvailableType tells whether the machine has a free place for the device.
	DiskAttachmentCapacityAvailableType Type = "DiskAttachmentCapacityAvailableType"
)

// Reasons of BlockDeviceReady.
const (
	// BlockDeviceReady: the device can be attached.
	BlockDeviceReady Reason = "BlockDeviceReady"
	// BlockDeviceNotReady: the device is missing or not ready.
	BlockDeviceNotReady Reason = "BlockDeviceNotReady"
)

// Reasons of VirtualMachineReady.
const (
	// VirtualMachineReady: the machine can take the device.
	VirtualMachineReady Reason = "VirtualMachineReady"
	// VirtualMachineNotReady: the machine is missing or not running.
	VirtualMachineNotReady Reason = "VirtualMachineNotReady"
)

// Reasons of Attached.
const (
	// Attached: the machine has the device.
	Attached Reason = "Attached"
	// NotAttached: the machine does not have the device.
	NotAttached Reason = "NotAttached"
	// AttachmentRequestSent: the engine was asked to attach the device.
	AttachmentRequestSent Reason = "AttachmentRequestSent"
	// Conflict: the device is attached in another way already.
	Conflict Reason = "Conflict"
	// DeviceNotAvailableOnNode: the machine's node cannot reach the device.
	DeviceNotAvailableOnNode Reason = "DeviceNotAvailableOnNode"
)

// Reasons of DiskAttachmentCapacityAvailableType.
const (
	// CapacityAvailable: there is a free place.
	CapacityAvailable Reason = "CapacityAvailable"
	// CapacityReached: the machine has as many devices as it can have.
	CapacityReached Reason = "CapacityReached"
	// CapacityUnknown: the machine's devices are not known yet.
	CapacityUnknown Reason = "CapacityUnknown"
)
