package machine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	kubevirtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
)

// Annotations of the KubeVirt machine.
const (
	startAnnotation   = annotations.StartRequested
	restartAnnotation = annotations.RestartRequested
	// hashAnnotation is the digest of everything that was applied.
	hashAnnotation = "slipway.dev/applied-hash"

	// requested is the value of a request that is not bound to an instance.
	requested = "true"
)

// record is what the KubeVirt machine says it was made from.
type record struct {
	// spec and class are nil when nothing, or nothing readable, was recorded.
	spec  *v1alpha2.VirtualMachineSpec
	class *v1alpha2.VirtualMachineClassSpec
	hash  string
}

// readRecord reads the annotations. A record that cannot be read counts as none,
// and the error says so.
func readRecord(engine *kubevirtv1.VirtualMachine) (record, error) {
	if engine == nil {
		return record{}, nil
	}
	r := record{hash: engine.Annotations[hashAnnotation]}
	if text, ok := engine.Annotations[annotations.LastAppliedSpec]; ok {
		spec := &v1alpha2.VirtualMachineSpec{}
		if err := json.Unmarshal([]byte(text), spec); err != nil {
			return record{}, fmt.Errorf("read annotation %s: %w", annotations.LastAppliedSpec, err)
		}
		r.spec = spec
	}
	if text, ok := engine.Annotations[annotations.ClassLastAppliedSpec]; ok {
		class := &v1alpha2.VirtualMachineClassSpec{}
		if err := json.Unmarshal([]byte(text), class); err != nil {
			return record{}, fmt.Errorf("read annotation %s: %w", annotations.ClassLastAppliedSpec, err)
		}
		r.class = class
	}
	return r, nil
}

// writeRecord puts the record on a built object.
func writeRecord(built *kubevirtv1.VirtualMachine, vm *v1alpha2.VirtualMachine, class *v1alpha2.VirtualMachineClass) error {
	spec, err := json.Marshal(vm.Spec)
	if err != nil {
		return fmt.Errorf("encode spec of machine %s: %w", vm.Name, err)
	}
	classSpec, err := json.Marshal(class.Spec)
	if err != nil {
		return fmt.Errorf("encode spec of class %s: %w", class.Name, err)
	}
	built.Annotations = map[string]string{
		annotations.LastAppliedSpec:      string(spec),
		annotations.ClassLastAppliedSpec: string(classSpec),
	}
	built.Annotations[hashAnnotation], err = digest(built)
	return err
}

// digest names everything that is applied, so that the same is not applied
// twice.
func digest(built *kubevirtv1.VirtualMachine) (string, error) {
	text, err := json.Marshal(struct{ Annotations, Spec any }{built.Annotations, built.Spec})
	if err != nil {
		return "", fmt.Errorf("encode KubeVirt machine %s: %w", built.Name, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

func hashOf(built *kubevirtv1.VirtualMachine) string {
	return built.Annotations[hashAnnotation]
}
