package machine

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/kubevirt"
)

// maxBlockDevices is how many block devices one machine may have.
const maxBlockDevices = 16

// found is one block device as it was looked up.
type found struct {
	device device
	// problem says what the device still lacks, empty when it can be used.
	problem string
	// waits tells that the disk's volume is made when the machine is placed.
	waits bool
	// held tells that the device is given to this machine; images always are.
	held bool
}

// resolveDevices looks up every block device and sums up what they lack.
func (e *engineer) resolveDevices(ctx context.Context, s *scope) flow.Outcome {
	refs := s.vm.Spec.BlockDeviceRefs
	if len(refs) > maxBlockDevices {
		s.devicesReady = notReady(vmcondition.BlockDeviceLimitExceeded, fmt.Sprintf("%d block devices are more than %d: remove some", len(refs), maxBlockDevices))
		return flow.Done()
	}
	all := make([]found, 0, len(refs))
	for _, ref := range refs {
		f, err := e.lookUp(ctx, s.vm, ref)
		if err != nil {
			return flow.Fail(reasonReading, err)
		}
		f.device.Ref = ref
		all = append(all, f)
	}
	s.devicesReady, s.devicesHeld = judgeDevices(all)
	for _, f := range all {
		s.devices = append(s.devices, f.device)
	}
	return flow.Done()
}

func judgeDevices(all []found) (readiness, bool) {
	var problems []string
	held, waits := true, false
	for _, f := range all {
		if f.problem != "" {
			problems = append(problems, fmt.Sprintf("%s %q %s", f.device.Ref.Kind, f.device.Ref.Name, f.problem))
		}
		held = held && f.held
		waits = waits || f.waits
	}
	switch {
	case len(problems) > 0:
		return notReady(vmcondition.BlockDevicesNotReady, strings.Join(problems, "; ")), false
	case waits:
		r := ready(vmcondition.WaitingForWaitForFirstConsumerBlockDevicesToBeReady, "volumes are made when the machine is placed on a node")
		return r, held
	default:
		return ready(vmcondition.BlockDevicesReady, ""), held
	}
}

func (e *engineer) lookUp(ctx context.Context, vm *v1alpha2.VirtualMachine, ref v1alpha2.BlockDeviceSpecRef) (found, error) {
	key := client.ObjectKey{Namespace: vm.Namespace, Name: ref.Name}
	switch ref.Kind {
	case v1alpha2.DiskDevice:
		disk, err := find(ctx, e.client, key, &v1alpha2.VirtualDisk{})
		return judgeDisk(vm.Name, disk), err
	case v1alpha2.ImageDevice:
		image, err := find(ctx, e.client, key, &v1alpha2.VirtualImage{})
		return e.judgeImage(vm, image), err
	case v1alpha2.ClusterImageDevice:
		key.Namespace = ""
		image, err := find(ctx, e.client, key, &v1alpha2.ClusterVirtualImage{})
		return e.judgeClusterImage(vm, image), err
	default:
		return found{problem: "is of an unknown kind: use VirtualDisk, VirtualImage or ClusterVirtualImage"}, nil
	}
}

// usablePhases are the phases in which a disk can be, or go on being, attached.
var usablePhases = map[v1alpha2.DiskPhase]bool{
	v1alpha2.DiskReady: true, v1alpha2.DiskResizing: true, v1alpha2.DiskMigrating: true, v1alpha2.DiskWaitForFirstConsumer: true,
}

const missing = "does not exist: create it or remove it from spec.blockDeviceRefs"

func judgeDisk(machine string, disk *v1alpha2.VirtualDisk) found {
	if disk == nil {
		return found{problem: missing}
	}
	f := found{
		device: device{
			Device: kubevirt.Device{UID: disk.UID, ClaimName: disk.Status.Target.PersistentVolumeClaimName},
			size:   disk.Status.Capacity,
		},
		waits: disk.Status.Phase == v1alpha2.DiskWaitForFirstConsumer,
	}
	var other string
	for _, attached := range disk.Status.AttachedToVirtualMachines {
		f.held = f.held || attached.Mounted && attached.Name == machine
		if attached.Mounted && attached.Name != machine {
			other = attached.Name
		}
	}
	switch {
	case !disk.DeletionTimestamp.IsZero():
		f.problem = "is being deleted"
	case other != "":
		f.problem = fmt.Sprintf("is in use by machine %q: stop that machine or use another disk", other)
	case !usablePhases[disk.Status.Phase]:
		f.problem = "is not ready" + inPhase(string(disk.Status.Phase))
	case f.device.ClaimName == "":
		f.problem = "has no volume yet"
	}
	return f
}

func (e *engineer) judgeImage(vm *v1alpha2.VirtualMachine, image *v1alpha2.VirtualImage) found {
	if image == nil {
		return found{problem: missing}
	}
	status := &image.Status
	f := found{held: true, device: device{
		Device: kubevirt.Device{UID: image.UID, ClaimName: status.Target.PersistentVolumeClaimName, CDROM: status.CDROM},
		size:   status.Size.Unpacked,
	}}
	if f.device.ClaimName == "" {
		f.device.Image = status.Target.RegistryURL
		f.device.PullSecret = e.pullSecretName(vm)
	}
	f.problem = imageProblem(image, status.Phase)
	return f
}

func (e *engineer) judgeClusterImage(vm *v1alpha2.VirtualMachine, image *v1alpha2.ClusterVirtualImage) found {
	if image == nil {
		return found{problem: missing}
	}
	status := &image.Status
	f := found{held: true, device: device{
		Device: kubevirt.Device{UID: image.UID, Image: status.Target.RegistryURL, PullSecret: e.pullSecretName(vm), CDROM: status.CDROM},
		size:   status.Size.Unpacked,
	}}
	f.problem = imageProblem(image, status.Phase)
	return f
}

func imageProblem(image client.Object, phase v1alpha2.ImagePhase) string {
	switch {
	case !image.GetDeletionTimestamp().IsZero():
		return "is being deleted"
	case phase != v1alpha2.ImageReady:
		return "is not ready" + inPhase(string(phase))
	default:
		return ""
	}
}

func inPhase(phase string) string {
	if phase == "" {
		return ""
	}
	return ": it is " + phase
}
