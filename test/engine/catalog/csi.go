package catalog

import (
	"slipway.dev/slipway/test/engine/build"
	"slipway.dev/slipway/test/engine/csi"
	"slipway.dev/slipway/test/engine/image"
)

// volumePackages are what the driver copies files and attaches devices with.
var volumePackages = []string{"coreutils", "mount"}

// storage is volumes with snapshots, clones and expansion.
func storage(root string) (Component, error) {
	driver := service(csi.Driver, volumePackages...)
	driver.Config.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	images := []image.Recipe{driver}
	for _, sidecar := range []string{csi.SnapshotController, csi.Snapshotter, csi.Resizer} {
		images = append(images, service(sidecar))
	}
	return Component{Name: CSI, Modules: []build.Module{csi.Module(root)}, Images: images}, nil
}
