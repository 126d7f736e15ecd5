package storageclass

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/utils/ptr"
)

// Policy says which classes the volumes of one kind may have. The zero Policy
// allows all.
type Policy struct {
	// Default is for volumes that name no class; empty means the cluster's own.
	Default string
	// Allowed are those that may be had beside Default.
	Allowed []string
}

// Request is all that the choice for one volume depends on.
type Request struct {
	// Asked is the class in the spec.
	Asked *string
	// Preferred comes before the defaults where it is allowed; it may be empty.
	Preferred string
	Classes   []storagev1.StorageClass
}

// Problem is why no class was chosen.
type Problem struct {
	// NotFound tells that there is no such class, or none at all; else there is one
	// that must not be used.
	NotFound bool
	Message  string
}

// remedy is the same for all kinds.
const remedy = "set spec.persistentVolumeClaim.storageClassName"

// Choose takes the class in the spec, else the preferred one, else the policy's
// default, else the cluster's.
func (p Policy) Choose(r Request) (*storagev1.StorageClass, *Problem) {
	name := ptr.Deref(r.Asked, "")
	if name == "" && p.allows(r.Preferred) {
		name = r.Preferred
	}
	name = cmp.Or(name, p.Default)
	if found := Default(r.Classes); name == "" && found != nil {
		name = found.Name
	}
	if name == "" {
		return nil, &Problem{true, "no storage class is named in the spec, and the cluster has no default one; " + remedy}
	}
	class := Find(r.Classes, name)
	switch {
	case !p.allows(name):
		return nil, &Problem{false, fmt.Sprintf("storage class %s is not allowed; %s to one that is: %s", name, remedy, p)}
	case class == nil:
		return nil, &Problem{true, fmt.Sprintf("storage class %s is not there; create it, or %s to another", name, remedy)}
	case !class.DeletionTimestamp.IsZero():
		return nil, &Problem{false, fmt.Sprintf("storage class %s is being deleted; %s to another", name, remedy)}
	}
	return class, nil
}

func (p Policy) allows(name string) bool {
	return p.Default == "" && len(p.Allowed) == 0 || name != "" && name == p.Default || slices.Contains(p.Allowed, name)
}

// String lists the classes that are allowed, the default first.
func (p Policy) String() string {
	names := slices.DeleteFunc(append([]string{p.Default}, p.Allowed...), func(name string) bool { return name == "" })
	return strings.Join(names, ", ")
}

// Find is the class of a name; nil when it is not there.
func Find(classes []storagev1.StorageClass, name string) *storagev1.StorageClass {
	i := slices.IndexFunc(classes, func(c storagev1.StorageClass) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &classes[i]
}
