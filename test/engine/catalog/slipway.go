package catalog

import (
	"path/filepath"

	"slipway.dev/slipway/test/engine/build"
	"slipway.dev/slipway/test/engine/image"
)

// slipwayUser runs Slipway's programs unless a manifest says otherwise.
const slipwayUser = "65532:65532"

// slipway is what runs on the engine to be tried: its manifests are applied by whoever tries it.
func slipway(root string) (Component, error) {
	module := build.Module{Name: Slipway, Dir: filepath.Join(root, "..", "..")}
	for _, name := range []string{"slipway-controller", "slipway-dvcr"} {
		module.Commands = append(module.Commands, build.Command{Name: name, Package: "./cmd/" + name})
	}
	// The registry's importers decode foreign formats with QEMU's tools.
	images := []image.Recipe{service("slipway-controller", small...), service("slipway-dvcr", diskPackages...)}
	for i := range images {
		images[i].Config.User = slipwayUser
	}
	return Component{Name: Slipway, Modules: []build.Module{module}, Images: images}, nil
}
