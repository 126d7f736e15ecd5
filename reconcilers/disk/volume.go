package disk

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

const (
	// retryAfterQuota is how soon a volume that a quota denied is tried again.
	retryAfterQuota = 30 * time.Second
	// retryAfterDelete is how soon a deletion is looked at again when its event
	// was missed.
	retryAfterDelete = 5 * time.Second
)

// provisionVolume sets provisioning: it makes the DataVolume or claim and waits
// until the claim holds all of the content.
func (e *engine) provisionVolume(ctx context.Context, s *scope) flow.Outcome {
	if s.filled() {
		s.provisioning.stage = complete
		return flow.Done()
	}
	switch {
	case s.maker() == nil:
		return e.startVolume(ctx, s)
	case s.direct():
		s.provisioning = assessClaim(s.claim, s.class.firstClaim)
	default:
		s.provisioning = assess(s.volume, s.claim, s.class.firstClaim)
	}
	announceProvisioning(ctx, s)
	switch s.provisioning.stage {
	case quotaExceeded:
		return flow.Wait(vdcondition.QuotaExceeded, retryAfterQuota, "%s", s.provisioning.message)
	case notPulled:
		return flow.Wait(vdcondition.ImagePullFailed, 0, "%s", s.provisioning.message)
	case failing:
		return flow.Wait(vdcondition.ProvisioningFailed, 0, "%s", s.provisioning.message)
	case awaitingConsumer:
		return flow.Wait(vdcondition.WaitingForFirstConsumer, 0, "the volume is made when a machine that wants it has a node")
	default:
		return flow.Wait(vdcondition.Provisioning, 0, "%T %s is not complete", s.maker(), s.maker().GetName())
	}
}

func (e *engine) startVolume(ctx context.Context, s *scope) flow.Outcome {
	if s.claim != nil {
		return flow.Wait(vdcondition.ProvisioningNotStarted, retryAfterDelete,
			"claim %s of an earlier volume is still there; it must go first", s.claim.Name)
	}
	if s.class.firstClaim && s.machines.holder == "" {
		s.provisioning.stage = awaitingConsumer
		return flow.Wait(vdcondition.WaitingForFirstConsumer, 0, "storage class %s makes the volume when a machine wants it", s.class.name)
	}
	if err := e.makeVolume(ctx, s); err != nil {
		return e.notMade(ctx, s, err)
	}
	s.provisioning.stage = running
	if s.class.firstClaim {
		s.provisioning.stage = awaitingConsumer
	}
	flow.Emit(ctx, "DataSourceImportInProgress", "the volume of the disk is being made")
	return flow.Wait(vdcondition.Provisioning, 0, "volume %s is being made", volumeName(s.disk))
}

// makeVolume creates what a DataVolume needs to pull from DVCR, then itself; or
// the claim alone where the storage fills it.
func (e *engine) makeVolume(ctx context.Context, s *scope) error {
	if s.source.snapshot != nil {
		return e.create(ctx, buildClaim(s))
	}
	withAuthority := len(e.authority) > 0
	objects := []client.Object{}
	if !s.blank() {
		objects = append(objects, buildCredentials(s.disk, e.login(s.disk.Namespace)))
		if withAuthority {
			objects = append(objects, buildAuthority(s.disk, e.authority))
		}
	}
	for _, obj := range append(objects, buildVolume(s, withAuthority)) {
		if err := e.create(ctx, obj); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) create(ctx context.Context, obj client.Object) error {
	if err := e.client.Create(ctx, obj); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create %T %s: %w", obj, obj.GetName(), err)
	}
	return nil
}

// notMade tells a quota's denial from other errors: the API server says
// Forbidden to both, so the namespace's quotas decide.
func (e *engine) notMade(ctx context.Context, s *scope, err error) flow.Outcome {
	if !apierrors.IsForbidden(err) {
		return flow.Fail("VolumeNotCreated", err)
	}
	var quotas corev1.ResourceQuotaList
	if listErr := e.quotas.List(ctx, &quotas, client.InNamespace(s.disk.Namespace)); listErr != nil || len(quotas.Items) == 0 {
		return flow.Fail("VolumeNotCreated", err)
	}
	s.provisioning = provisioning{quotaExceeded, err.Error()}
	announceProvisioning(ctx, s)
	return flow.Wait(vdcondition.QuotaExceeded, retryAfterQuota, "%s", err)
}

// announceProvisioning emits an event when the making of the volume goes wrong
// in a way that the status does not tell yet.
func announceProvisioning(ctx context.Context, s *scope) {
	if s.readyMessage() == s.provisioning.message {
		return
	}
	switch s.provisioning.stage {
	case quotaExceeded:
		flow.Warn(ctx, "DataSourceQuotaExceed", "%s", s.provisioning.message)
	case notPulled:
		flow.Warn(ctx, vdcondition.ImagePullFailed, "%s", s.provisioning.message)
	case failing:
		flow.Warn(ctx, "DataSourceImportDiskProvisioningFailed", "%s", s.provisioning.message)
	}
}
