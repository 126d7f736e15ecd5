package v1alpha3

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of the module kinds.
const GroupName = "virtualization.deckhouse.io"

// Version is the version of this package's kind.
const Version = "v1alpha3"

// SchemeGroupVersion is the group and version under which this package registers its kind.
var SchemeGroupVersion = schema.GroupVersion{Group: GroupName, Version: Version}

// AddToScheme registers VirtualMachineClass and its list with a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion, &VirtualMachineClass{}, &VirtualMachineClassList{})
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion)
	return nil
}
