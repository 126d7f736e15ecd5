package kubevirt

import (
	"path/filepath"

	"slipway.dev/slipway/test/engine/build"
)

// Generator is the command that [Manifests] runs.
const Generator = "kubevirt-manifests"

// commands of KubeVirt. Those that talk to libvirt, or stand in one image with such, are linked against the C library.
var (
	controlPlane = []string{"virt-api", "virt-controller"}
	inNodes      = []string{
		"virt-handler", "virt-launcher", "virt-launcher-monitor", "virt-chroot", "virt-probe", "virt-tail", "virt-freezer",
		"virt-exportserver", "virt-exportproxy",
	}
)

// ControlPlane is the module with what runs without a node; root is the directory of the engine's own module.
func ControlPlane(root string) build.Module {
	module := build.Module{Name: "kubevirt", Dir: filepath.Join(root, "kubevirt", "module")}
	module.Commands = append(module.Commands, build.Command{Name: Generator, Package: "./cmd/" + Generator})
	for _, name := range controlPlane {
		module.Commands = append(module.Commands, command(name, false))
	}
	return module
}

// Module is the module with everything that a node needs.
func Module(root string) build.Module {
	module := ControlPlane(root)
	for _, name := range inNodes {
		module.Commands = append(module.Commands, command(name, true))
	}
	return module
}

func command(name string, cgo bool) build.Command {
	return build.Command{Name: name, Package: "kubevirt.io/kubevirt/cmd/" + name, CGO: cgo}
}
