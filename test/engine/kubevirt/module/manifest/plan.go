package manifest

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Shape says how KubeVirt's control plane runs.
type Shape string

const (
	// Pods is how KubeVirt deploys itself.
	Pods Shape = "pods"
	// Processes runs virt-api and virt-controller on the host beside the API server. Their Service is an alias of
	// localhost, because Endpoints may not hold loopback addresses; there is no virt-handler.
	Processes Shape = "processes"
)

// Plan is what decides about the manifests.
type Plan struct {
	// Shape of the control plane.
	Shape Shape
	// Namespace that KubeVirt lives in.
	Namespace string
	// Registry and Tag make up the images' names: Registry/virt-launcher:Tag.
	Registry, Tag string
	// Port of virt-api on the host; only for Processes.
	Port int
	// Lifetime of the certificates. Nobody renews them.
	Lifetime time.Duration
	// Gates are KubeVirt's feature gates to switch on.
	Gates []string
	// Verbosity of KubeVirt's logs.
	Verbosity uint
}

// DefaultGates are those that Slipway's objects make use of.
var DefaultGates = []string{"Snapshot", "HotplugVolumes", "ExpandDisks"}

// Check refuses a plan that makes no manifests.
func (p Plan) Check() error {
	switch {
	case p.Shape != Pods && p.Shape != Processes:
		return fmt.Errorf("shape %q is unknown: take %s or %s", p.Shape, Pods, Processes)
	case p.Shape == Processes && (p.Port < 1 || p.Port > 65535):
		return fmt.Errorf("shape %s needs virt-api's port, 1 to 65535, not %d", Processes, p.Port)
	case p.Namespace == "" || p.Registry == "" || p.Tag == "":
		return errors.New("namespace, registry and tag of the images are needed")
	case p.Lifetime < time.Hour:
		return fmt.Errorf("certificates that last %s are of no use: take an hour or more", p.Lifetime)
	}
	return nil
}

func (p Plan) image(name string) string {
	return strings.TrimSuffix(p.Registry, "/") + "/" + name + ":" + p.Tag
}
