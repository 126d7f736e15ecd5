package cdi

import (
	"path/filepath"

	"slipway.dev/slipway/test/engine/build"
)

// Commands of this repository in CDI's module.
const (
	// Generator is what [Manifests] runs.
	Generator = "cdi-manifests"
	// Loopback is CDI's API server for control planes on the host.
	Loopback = "cdi-apiserver-loopback"
	// Importer fills volumes.
	Importer = "cdi-importer"
)

// inNodes are the commands that run in pods.
var inNodes = []string{"cdi-apiserver", "cdi-controller", Importer, "cdi-cloner", "cdi-uploadserver", "cdi-uploadproxy"}

// ControlPlane is the module with what is of use without a node; root is the directory of the engine's own module.
func ControlPlane(root string) build.Module {
	module := base(root)
	for _, name := range []string{Generator, Loopback} {
		module.Commands = append(module.Commands, build.Command{Name: name, Package: "./cmd/" + name})
	}
	module.Commands = append(module.Commands, command(Importer))
	return module
}

// Module is the module with everything that a node needs.
func Module(root string) build.Module {
	module := base(root)
	module.Commands = append(module.Commands, build.Command{Name: Generator, Package: "./cmd/" + Generator})
	for _, name := range inNodes {
		module.Commands = append(module.Commands, command(name))
	}
	return module
}

func base(root string) build.Module {
	dir := filepath.Join(root, "cdi", "module")
	return build.Module{Name: "cdi", Dir: dir, Sources: []string{filepath.Join(dir, "nbd")}}
}

func command(name string) build.Command {
	return build.Command{Name: name, Package: "kubevirt.io/containerized-data-importer/cmd/" + name}
}
