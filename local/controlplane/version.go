package controlplane

import (
	"runtime"

	etcdversion "go.etcd.io/etcd/api/v3/version"
	"k8s.io/component-base/version"
)

// Interface counts the changes of the command line and of the data directory's
// layout that whoever starts this program must know of.
const Interface = 1

// Versions is what the program is made of.
type Versions struct {
	// Interface is the constant of the same name.
	Interface int `json:"interface"`
	// Kubernetes is the version that the API server reports.
	Kubernetes string `json:"kubernetes"`
	// Etcd is the version of the embedded store.
	Etcd string `json:"etcd"`
	// Go is the compiler's version.
	Go string `json:"go"`
}

// Version tells the versions of this program. Kubernetes is the version set at
// link time, which a build without the documented -ldflags does not have.
func Version() Versions {
	return Versions{
		Interface:  Interface,
		Kubernetes: version.Get().GitVersion,
		Etcd:       etcdversion.Version,
		Go:         runtime.Version(),
	}
}
