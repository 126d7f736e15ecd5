package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/domain"
)

// templateAnnotation on an instance names the template that it was made from.
const templateAnnotation = "node.slipway.dev/template"

// build makes the instance that a machine's template describes.
func build(vm *virtv1.VirtualMachine) *virtv1.VirtualMachineInstance {
	template := vm.Spec.Template
	annotations := maps.Clone(template.ObjectMeta.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[virtv1.VirtualMachineGenerationAnnotation] = strconv.FormatInt(vm.Generation, 10)
	annotations[templateAnnotation] = digest(template)
	vmi := &virtv1.VirtualMachineInstance{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: vm.Namespace, Name: vm.Name, Labels: maps.Clone(template.ObjectMeta.Labels), Annotations: annotations,
			Finalizers:      []string{virtv1.VirtualMachineInstanceFinalizer},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(vm, virtv1.VirtualMachineGroupVersionKind)},
		},
		Spec: *template.Spec.DeepCopy(),
	}
	keepIdentity(vm, vmi)
	return vmi
}

// keepIdentity gives all instances of a machine the same system UUID.
func keepIdentity(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance) {
	if vmi.Spec.Domain.Firmware == nil {
		vmi.Spec.Domain.Firmware = &virtv1.Firmware{}
	}
	if vmi.Spec.Domain.Firmware.UUID == "" {
		vmi.Spec.Domain.Firmware.UUID = vm.UID
	}
}

// digest names a template's content.
func digest(template *virtv1.VirtualMachineInstanceTemplateSpec) string {
	data, _ := json.Marshal(template) // a value of the API always encodes
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}

// refuse says what of a machine this node does not implement.
func refuse(vm *virtv1.VirtualMachine) []string {
	if vm.Spec.Template == nil {
		return []string{"spec.template (it is missing)"}
	}
	var out []string
	if vm.Spec.Instancetype != nil {
		out = append(out, "spec.instancetype")
	}
	if vm.Spec.Preference != nil {
		out = append(out, "spec.preference")
	}
	if len(vm.Spec.DataVolumeTemplates) > 0 {
		out = append(out, "spec.dataVolumeTemplates")
	}
	if vm.Spec.UpdateVolumesStrategy != nil {
		out = append(out, "spec.updateVolumesStrategy")
	}
	if s := strategy(vm); s == virtv1.RunStrategyWaitAsReceiver || s == virtv1.RunStrategyUnknown {
		out = append(out, "spec.runStrategy "+string(s))
	}
	for _, field := range domain.Unsupported(&vm.Spec.Template.Spec) {
		out = append(out, "spec.template."+field)
	}
	return out
}

// strategy is the machine's run strategy, in either of its two spellings.
func strategy(vm *virtv1.VirtualMachine) virtv1.VirtualMachineRunStrategy {
	switch {
	case vm.Spec.RunStrategy != nil:
		return *vm.Spec.RunStrategy
	case vm.Spec.Running != nil && *vm.Spec.Running:
		return virtv1.RunStrategyAlways
	case vm.Spec.Running != nil:
		return virtv1.RunStrategyHalted
	}
	return virtv1.RunStrategyUnknown
}
