package admission

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The longest names from which the names of derived objects still fit.
const (
	maxMachineName      = 63
	maxDiskName         = 60
	maxImageName        = 49
	maxClusterImageName = 48
)

// engineDomain marks keys that belong to KubeVirt.
const engineDomain = "kubevirt.io"

var metadataPath = field.NewPath("metadata")

// checkName refuses names from which derived objects cannot be named.
func checkName(object client.Object, longest int, dots bool) field.ErrorList {
	name := object.GetName()
	if name == "" {
		return nil // generated names are checked with the object's own
	}
	var errs field.ErrorList
	if len(name) > longest {
		errs = append(errs, field.Invalid(metadataPath.Child("name"), name, fmt.Sprintf("use at most %d characters", longest)))
	}
	if !dots && strings.Contains(name, ".") {
		errs = append(errs, field.Invalid(metadataPath.Child("name"), name, "use a name without dots"))
	}
	return errs
}

// checkKeys refuses labels and annotations by which a machine could steer
// KubeVirt.
func checkKeys(object client.Object) field.ErrorList {
	var errs field.ErrorList
	for child, keys := range map[string]map[string]string{"labels": object.GetLabels(), "annotations": object.GetAnnotations()} {
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			if strings.Contains(key, engineDomain) {
				errs = append(errs, field.Forbidden(metadataPath.Child(child).Key(key), "keys with "+engineDomain+" belong to the engine: use another key"))
			}
		}
	}
	return errs
}
