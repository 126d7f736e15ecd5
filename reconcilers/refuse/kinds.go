package refuse

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmbdacondition"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmmaccondition"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmrestorecondition"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmscondition"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmsopcondition"
)

// NotSupported is the reason of a condition that refuses what this version of
// Slipway cannot do.
const NotSupported = "NotSupported"

// kind is one refused kind.
type kind struct {
	// name is the controller's name.
	name string
	// condition is the type of the condition that refuses.
	condition string
	// message says what is not supported, and what to do instead.
	message   string
	newObject func() client.Object
	// status gives the parts of an object's status, after the phase was set.
	status func(client.Object) (conditions *[]metav1.Condition, generation *int64)
}

// kinds are all refused kinds. A MAC address has no failed phase in DVP's API,
// so it stays pending.
func kinds() []kind {
	return []kind{
		attachment(), machineSnapshot(), machineRestore(), snapshotOperation(), macAddress(),
	}
}

func attachment() kind {
	return kind{
		name:      "virtualmachineblockdeviceattachment",
		condition: vmbdacondition.AttachedType,
		message:   "attaching devices to a running machine is not supported by this version; name the device in the machine's spec.blockDeviceRefs",
		newObject: func() client.Object { return &v1alpha2.VirtualMachineBlockDeviceAttachment{} },
		status: func(o client.Object) (*[]metav1.Condition, *int64) {
			status := &o.(*v1alpha2.VirtualMachineBlockDeviceAttachment).Status
			status.Phase = v1alpha2.AttachmentFailed
			return &status.Conditions, &status.ObservedGeneration
		},
	}
}

func machineSnapshot() kind {
	return kind{
		name:      "virtualmachinesnapshot",
		condition: vmscondition.VirtualMachineSnapshotReadyType,
		message:   "snapshots of machines are not supported by this version; no snapshot was taken",
		newObject: func() client.Object { return &v1alpha2.VirtualMachineSnapshot{} },
		status: func(o client.Object) (*[]metav1.Condition, *int64) {
			status := &o.(*v1alpha2.VirtualMachineSnapshot).Status
			status.Phase = v1alpha2.SnapshotFailed
			return &status.Conditions, &status.ObservedGeneration
		},
	}
}

func machineRestore() kind {
	return kind{
		name:      "virtualmachinerestore",
		condition: vmrestorecondition.VirtualMachineRestoreReadyType,
		message:   "restoring a machine from a snapshot is not supported by this version; nothing was changed",
		newObject: func() client.Object { return &v1alpha2.VirtualMachineRestore{} },
		status: func(o client.Object) (*[]metav1.Condition, *int64) {
			status := &o.(*v1alpha2.VirtualMachineRestore).Status
			status.Phase = v1alpha2.SnapshotFailed
			return &status.Conditions, &status.ObservedGeneration
		},
	}
}

func snapshotOperation() kind {
	return kind{
		name:      "virtualmachinesnapshotoperation",
		condition: vmsopcondition.CompletedType,
		message:   "creating a machine from a snapshot is not supported by this version; nothing was created",
		newObject: func() client.Object { return &v1alpha2.VirtualMachineSnapshotOperation{} },
		status: func(o client.Object) (*[]metav1.Condition, *int64) {
			status := &o.(*v1alpha2.VirtualMachineSnapshotOperation).Status
			status.Phase = v1alpha2.OperationFailed
			return &status.Conditions, &status.ObservedGeneration
		},
	}
}

func macAddress() kind {
	return kind{
		name:      "virtualmachinemacaddress",
		condition: vmmaccondition.BoundType,
		message:   "choosing MAC addresses is not supported by this version; machines get theirs by themselves",
		newObject: func() client.Object { return &v1alpha2.VirtualMachineMACAddress{} },
		status: func(o client.Object) (*[]metav1.Condition, *int64) {
			status := &o.(*v1alpha2.VirtualMachineMACAddress).Status
			status.Phase = v1alpha2.AddressPending
			return &status.Conditions, &status.ObservedGeneration
		},
	}
}
