package disk

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"

	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// awaitPrerequisites lets a disk on once its source and its class are ready.
func (e *engine) awaitPrerequisites(ctx context.Context, s *scope) flow.Outcome {
	switch {
	case s.underway():
		return flow.Done()
	case s.source.refused:
		return flow.Stall(s.source.reason, "%s", s.source.message)
	case !s.source.ready:
		announceSecret(ctx, s)
		return flow.Wait(s.source.reason, 0, "%s", s.source.message)
	case !s.class.ready:
		return flow.Wait(s.class.reason, 0, "%s", s.class.message)
	default:
		return flow.Done()
	}
}

func announceSecret(ctx context.Context, s *scope) {
	const reason = vdcondition.ContainerRegistrySecretNotFound
	before := meta.FindStatusCondition(s.old.Conditions, vdcondition.DatasourceReadyType)
	if s.source.reason == reason && (before == nil || before.Reason != reason) {
		flow.Warn(ctx, "VirtualDiskContainerRegistrySecretNotFound", "%s", s.source.message)
	}
}
