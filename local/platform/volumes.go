package platform

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/local/node/volume"
)

// lender lends the importer the volumes of the engine on this machine.
type lender struct{ platform *Platform }

// Open implements importer.Volumes.
func (l lender) Open(ctx context.Context, namespace, claim string) (importer.Volume, error) {
	var pvc corev1.PersistentVolumeClaim
	if err := l.platform.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: claim}, &pvc); err != nil {
		return importer.Volume{}, lendError(client.IgnoreNotFound(err) == nil, err)
	}
	file, release, err := l.platform.engine.Lend(string(pvc.UID))
	if err != nil {
		return importer.Volume{}, lendError(errors.Is(err, volume.ErrNotFound), err)
	}
	return importer.Volume{Path: file, Format: "qcow2", Release: release}, nil
}

func lendError(missing bool, err error) error {
	if missing {
		return fmt.Errorf("%w: %w", importer.ErrNotFound, err)
	}
	return fmt.Errorf("%w: %w", importer.ErrUnreachable, err)
}
