package manifest

import (
	"errors"
	"fmt"
	"strings"
)

// Shape says how CDI's control plane runs.
type Shape string

const (
	// Pods is how CDI deploys itself.
	Pods Shape = "pods"
	// Processes runs CDI's API server on the host beside that of Kubernetes; its Service is an alias of localhost.
	Processes Shape = "processes"
)

// Version is that of the CDI in this module's go.mod.
const Version = "v1.65.0"

// Plan is what decides about the manifests.
type Plan struct {
	// Shape of the control plane.
	Shape Shape
	// Namespace that CDI lives in.
	Namespace string
	// Registry and Tag make up the images' names: Registry/cdi-importer:Tag.
	Registry, Tag string
	// Port of CDI's API server on the host; only for Processes.
	Port int
	// Verbosity of CDI's logs.
	Verbosity uint
}

// Check refuses a plan that makes no manifests.
func (p Plan) Check() error {
	switch {
	case p.Shape != Pods && p.Shape != Processes:
		return fmt.Errorf("shape %q is unknown: take %s or %s", p.Shape, Pods, Processes)
	case p.Shape == Processes && (p.Port < 1 || p.Port > 65535):
		return fmt.Errorf("shape %s needs the port of CDI's API server, 1 to 65535, not %d", Processes, p.Port)
	case p.Namespace == "" || p.Registry == "" || p.Tag == "":
		return errors.New("namespace, registry and tag of the images are needed")
	}
	return nil
}

func (p Plan) image(name string) string {
	return strings.TrimSuffix(p.Registry, "/") + "/" + name + ":" + p.Tag
}
