package install

import (
	"context"

	"slipway.dev/slipway/test/engine/csi"
)

// volumesDir is where all nodes find all volumes.
const volumesDir = "/var/lib/engine-volumes"

// CSI installs the driver with its sidecars and classes.
var CSI = Component{Name: "csi", Install: installCSI}

func installCSI(ctx context.Context, target Target) error {
	t, err := target.tools()
	if err != nil {
		return err
	}
	stages, err := csi.Manifests(csi.Plan{Registry: "localhost", Tag: "engine", Volumes: volumesDir})
	if err != nil {
		return err
	}
	t.Report("volumes with snapshots")
	if err := t.applier.Apply(ctx, stages...); err != nil {
		return err
	}
	return t.workloads(ctx, csi.Namespace)
}
