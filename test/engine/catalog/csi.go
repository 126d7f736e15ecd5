package catalog

import (
	"slipway.dev/slipway/test/engine/build"
	"slipway.dev/slipway/test/engine/csi"
	"slipway.dev/slipway/test/engine/image"
)

// volumePackages are what the driver copies files and attaches devices with.
var volumePackages = []string{"coreutils", "util-linux"}

// storage is volumes with snapshots, clones and expansion.
func storage(root string) (Component, error) {
	images := []image.Recipe{service(csi.Driver, volumePackages...)}
	for _, sidecar := range []string{csi.SnapshotController, csi.Snapshotter, csi.Resizer} {
		images = append(images, service(sidecar))
	}
	return Component{Name: CSI, Modules: []build.Module{csi.Module(root)}, Images: images}, nil
}
