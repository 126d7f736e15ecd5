package disk

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/image/guard"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// attachments are the machines that name a disk, and which of them has it.
type attachments struct {
	known bool
	// list is in the order of names.
	list []v1alpha2.AttachedVirtualMachine
	// holder is the machine that has the disk or gets it next, empty when no
	// machine wants it; active tells that it is more than waiting to be started.
	holder string
	active bool
	reader
}

// reader is what reads a disk beside machines. No machine gets the disk meanwhile.
type reader struct {
	// image is one that is being made from the disk, empty when none is.
	image string
	// export tells that somebody has asked for an export of the disk's volume.
	export bool
}

func (r reader) any() bool { return r.image != "" || r.export }

// findMachines sets machines and keeps the protection finalizer while one holds
// the disk.
func (e *engine) findMachines(ctx context.Context, s *scope) flow.Outcome {
	var machines v1alpha2.VirtualMachineList
	if err := e.client.List(ctx, &machines, client.InNamespace(s.disk.Namespace), client.MatchingFields{diskIndex: s.disk.Name}); err != nil {
		return flow.Fail("MachinesUnknown", fmt.Errorf("list machines that name disk %s: %w", s.disk.Name, err))
	}
	image, err := e.imageFrom(ctx, s.disk)
	if err != nil {
		return flow.Fail("ImagesUnknown", err)
	}
	s.machines = attach(s.old.AttachedToVirtualMachines, machines.Items, reader{image: image, export: s.exported()})
	if err := guard.Keep(ctx, e.client, s.disk, finalizers.VirtualDiskProtection, s.held()); err != nil {
		return flow.Fail("NotProtected", err)
	}
	return flow.Done()
}

// held tells whether the disk must not go. A machine that still waits to be
// started holds a disk that has data, unless the disk is being deleted already:
// it will not start then.
func (s *scope) held() bool {
	if s.machines.active || s.machines.reader.any() {
		return true
	}
	return s.machines.holder != "" && s.filled() && !s.deleting()
}

// attach decides which machine may use a disk: the one that uses it already;
// else the one it was given to before, while that waits to be started; else the
// oldest that waits. A machine that is off has no claim, and one that waits has
// none while the disk is read for something else.
func attach(before []v1alpha2.AttachedVirtualMachine, machines []v1alpha2.VirtualMachine, r reader) attachments {
	a := attachments{known: true, reader: r}
	byAge := slices.Clone(machines)
	slices.SortFunc(byAge, older)
	if i := slices.IndexFunc(byAge, isActive); i >= 0 {
		a.holder, a.active = byAge[i].Name, true
	}
	if a.holder == "" && !r.any() {
		a.holder = nextHolder(before, byAge)
	}
	for _, vm := range byAge {
		a.list = append(a.list, v1alpha2.AttachedVirtualMachine{Name: vm.Name, Mounted: vm.Name == a.holder})
	}
	slices.SortFunc(a.list, func(x, y v1alpha2.AttachedVirtualMachine) int { return cmp.Compare(x.Name, y.Name) })
	return a
}

func nextHolder(before []v1alpha2.AttachedVirtualMachine, byAge []v1alpha2.VirtualMachine) string {
	next := ""
	for _, vm := range byAge {
		if !isWaiting(vm) {
			continue
		}
		if slices.Contains(before, v1alpha2.AttachedVirtualMachine{Name: vm.Name, Mounted: true}) {
			return vm.Name
		}
		next = cmp.Or(next, vm.Name)
	}
	return next
}

func older(x, y v1alpha2.VirtualMachine) int {
	if byTime := x.CreationTimestamp.Compare(y.CreationTimestamp.Time); byTime != 0 {
		return byTime
	}
	return cmp.Compare(x.Name, y.Name)
}

// isActive tells whether a machine has its disks open, or had and may have.
func isActive(vm v1alpha2.VirtualMachine) bool {
	switch vm.Status.Phase {
	case "", v1alpha2.MachinePending, v1alpha2.MachineStopped:
		return false
	default:
		return true
	}
}

// isWaiting tells whether a machine is to be started once its disks are ready.
func isWaiting(vm v1alpha2.VirtualMachine) bool {
	return vm.Status.Phase == v1alpha2.MachinePending && vm.DeletionTimestamp.IsZero()
}
