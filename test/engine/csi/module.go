package csi

import (
	"path/filepath"

	"slipway.dev/slipway/test/engine/build"
)

// Commands of the module.
const (
	// Driver is the CSI driver with the provisioner.
	Driver = "engine-csi"
	// SnapshotController binds snapshots to their contents.
	SnapshotController = "snapshot-controller"
	// Snapshotter has the driver make snapshots.
	Snapshotter = "csi-snapshotter"
	// Resizer has the driver expand volumes.
	Resizer = "csi-resizer"
)

// Module is the module with everything; root is the directory of the engine's own module.
func Module(root string) build.Module {
	const snapshotter = "github.com/kubernetes-csi/external-snapshotter/v8/cmd/"
	return build.Module{
		Name: "csi", Dir: filepath.Join(root, "csi", "module"),
		Commands: []build.Command{
			{Name: Driver, Package: "./cmd/" + Driver},
			{Name: SnapshotController, Package: snapshotter + SnapshotController},
			{Name: Snapshotter, Package: snapshotter + Snapshotter},
			{Name: Resizer, Package: "github.com/kubernetes-csi/external-resizer/cmd/" + Resizer},
		},
	}
}
