package install

import (
	"context"
	"fmt"
	"path/filepath"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/test/engine/cdi"
	"slipway.dev/slipway/test/engine/csi"
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
	err = t.apply(ctx, stages, judged{by: cdi.Webhooks, namespace: cdi.Namespace, path: "/apis/upload.cdi.kubevirt.io/v1beta1"})
	if err != nil {
		return err
	}
	return t.profiles(ctx)
}

// profiles tells CDI of the engine's own classes, where they are installed.
func (t tools) profiles(ctx context.Context) error {
	_, err := t.client.StorageV1().StorageClasses().Get(ctx, csi.StorageClass, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for the class of volumes: %w", err)
	}
	stage, err := csi.Profiles()
	if err != nil {
		return err
	}
	return t.applier.Apply(ctx, stage)
}
