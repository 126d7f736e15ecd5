package install

import (
	"context"
	"fmt"
	"path/filepath"

	"slipway.dev/slipway/test/engine/cdi"
)

// CDI installs it as it deploys itself, in pods.
var CDI = Component{Name: "cdi", Install: installCDI}

func installCDI(ctx context.Context, target Target) error {
	t, err := target.tools()
	if err != nil {
		return err
	}
	generator, ok := t.Binaries[cdi.Generator]
	if !ok {
		return fmt.Errorf("generate CDI's objects: %s was not built", cdi.Generator)
	}
	stages, err := cdi.Manifests(ctx, generator, filepath.Join(t.Dir, "cdi"), cdi.Plan{Shape: cdi.Pods})
	if err != nil {
		return err
	}
	t.Report("CDI")
	return t.apply(ctx, stages, judged{by: cdi.Webhooks, namespace: cdi.Namespace, path: "/apis/upload.cdi.kubevirt.io/v1beta1"})
}
