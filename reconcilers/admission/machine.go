package admission

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

const maxBlockDevices = 16

var specPath = field.NewPath("spec")

// surroundings are the objects that a machine's rules look at; nil when they do
// not exist.
type surroundings struct {
	class *v1alpha2.VirtualMachineClass
	// namesake is the address of the machine's own name.
	namesake *v1alpha2.VirtualMachineIPAddress
	// firstIsPlain tells that the first block device is an image that is ready
	// and no ISO.
	firstIsPlain bool
}

// judgeMachine leaves a machine alone whose spec, labels and annotations stay as
// they are: rules that came later must not stop a controller's bookkeeping.
func judgeMachine(ctx context.Context, reader client.Reader, r revision[*v1alpha2.VirtualMachine]) (verdict, error) {
	if r.updates && equality.Semantic.DeepEqual(r.old.Spec, r.new.Spec) {
		return verdict{errors: checkNewKeys(r)}, nil
	}
	around, err := lookAround(ctx, reader, r.new)
	if err != nil {
		return verdict{}, err
	}
	said := checkMachine(r.new, around)
	if !r.updates {
		said.errors = append(said.errors, checkNamesake(r.new, around)...)
	}
	return said, nil
}

func checkNewKeys(r revision[*v1alpha2.VirtualMachine]) field.ErrorList {
	if equality.Semantic.DeepEqual(r.old.Labels, r.new.Labels) && equality.Semantic.DeepEqual(r.old.Annotations, r.new.Annotations) {
		return nil
	}
	return checkKeys(r.new)
}

// checkMachine is everything that can be said of a machine's spec.
func checkMachine(vm *v1alpha2.VirtualMachine, around surroundings) verdict {
	said := verdict{errors: checkName(vm, maxMachineName, true)}
	said.errors = append(said.errors, checkKeys(vm)...)
	said.errors = append(said.errors, checkSize(vm)...)
	said.errors = append(said.errors, checkBlockDevices(vm, around.firstIsPlain)...)
	said.errors = append(said.errors, checkNetworks(vm.Spec.Networks)...)
	said.errors = append(said.errors, checkUSB(vm.Spec.USBDevices)...)
	said.errors = append(said.errors, checkPlacement(&vm.Spec)...)
	errs, warnings := checkClass(vm, around.class)
	said.errors = append(said.errors, errs...)
	said.warnings = warnings
	return said
}

func lookAround(ctx context.Context, reader client.Reader, vm *v1alpha2.VirtualMachine) (surroundings, error) {
	var around surroundings
	var err error
	if around.class, err = find(ctx, reader, client.ObjectKey{Name: vm.Spec.VirtualMachineClassName}, &v1alpha2.VirtualMachineClass{}); err != nil {
		return around, err
	}
	if around.namesake, err = find(ctx, reader, client.ObjectKeyFromObject(vm), &v1alpha2.VirtualMachineIPAddress{}); err != nil {
		return around, err
	}
	around.firstIsPlain, err = firstIsPlainImage(ctx, reader, vm)
	return around, err
}

func firstIsPlainImage(ctx context.Context, reader client.Reader, vm *v1alpha2.VirtualMachine) (bool, error) {
	if len(vm.Spec.BlockDeviceRefs) == 0 {
		return false, nil
	}
	switch first := vm.Spec.BlockDeviceRefs[0]; first.Kind {
	case v1alpha2.ImageDevice:
		image, err := find(ctx, reader, client.ObjectKey{Namespace: vm.Namespace, Name: first.Name}, &v1alpha2.VirtualImage{})
		return image != nil && image.Status.Phase == v1alpha2.ImageReady && !image.Status.CDROM, err
	case v1alpha2.ClusterImageDevice:
		image, err := find(ctx, reader, client.ObjectKey{Name: first.Name}, &v1alpha2.ClusterVirtualImage{})
		return image != nil && image.Status.Phase == v1alpha2.ImageReady && !image.Status.CDROM, err
	default:
		return false, nil
	}
}

// checkNamesake refuses a machine beside an address of its name that it does not
// use: more likely than not it was meant to.
func checkNamesake(vm *v1alpha2.VirtualMachine, around surroundings) field.ErrorList {
	if around.namesake == nil || vm.Spec.VirtualMachineIPAddressName != "" {
		return nil
	}
	return field.ErrorList{field.Required(specPath.Child("virtualMachineIPAddressName"),
		fmt.Sprintf("an address %q exists: name it, or another", vm.Name))}
}

// find reads an object, and gives nil when there is none.
func find[O client.Object](ctx context.Context, reader client.Reader, key client.ObjectKey, into O) (O, error) {
	var none O
	if key.Name == "" {
		return none, nil
	}
	err := reader.Get(ctx, key, into)
	if apierrors.IsNotFound(err) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("get %T %s: %w", into, key, err)
	}
	return into, nil
}
