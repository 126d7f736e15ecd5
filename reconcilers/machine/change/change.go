package change

import (
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// Action is what a change needs in order to take effect on a running machine.
// A larger action includes the smaller ones.
type Action int

// Actions, smallest first.
const (
	// None has no effect on the machine itself.
	None Action = iota
	// Live takes effect at once, without touching the guest.
	Live
	// Restart takes effect when the machine is started the next time.
	Restart
)

// String names the action.
func (a Action) String() string {
	return [...]string{"None", "Live", "Restart"}[a]
}

// Change is one difference between two specs.
type Change struct {
	// Operation is add, remove or replace.
	Operation v1alpha2.ChangeOperation
	// Path is the field, dot-separated with list indexes, such as cpu.cores or
	// blockDeviceRefs.0. A path of the class starts with "VirtualMachineClass:".
	Path string
	// Current is the value before, nil when there is none.
	Current any
	// Desired is the value after, nil when there is none.
	Desired any
	// Action is what the change needs.
	Action Action
}

// Largest is the largest action among the changes, None when there are none.
func Largest(changes []Change) Action {
	largest := None
	for _, c := range changes {
		largest = max(largest, c.Action)
	}
	return largest
}

// Awaiting picks the changes that need a restart, in the form in which a
// machine's status shows them.
func Awaiting(changes []Change) ([]v1alpha2.RestartAwaitingChange, error) {
	var awaiting []v1alpha2.RestartAwaitingChange
	for _, c := range changes {
		if c.Action != Restart {
			continue
		}
		current, err := encode(c.Path, c.Current)
		if err != nil {
			return nil, err
		}
		desired, err := encode(c.Path, c.Desired)
		if err != nil {
			return nil, err
		}
		awaiting = append(awaiting, v1alpha2.RestartAwaitingChange{
			Operation: c.Operation, Path: c.Path, CurrentValue: current, DesiredValue: desired,
		})
	}
	return awaiting, nil
}

func encode(path string, value any) (*apiextensionsv1.JSON, error) {
	if value == nil {
		return nil, nil
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode value of %s: %w", path, err)
	}
	return &apiextensionsv1.JSON{Raw: raw}, nil
}
