package disk

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// madeFrom is the annotation of a DataVolume and a claim that holds the digest
// of the spec they were made from.
const (
	madeFromSpec   = "disk.slipway.dev/made-from-spec"
	madeFromSource = "disk.slipway.dev/made-from-source"
)

// restart drops what was made for an earlier spec of a disk that holds no data
// yet. A filled volume is left alone whatever the spec says.
func (e *engine) restart(ctx context.Context, s *scope) flow.Outcome {
	if s.filled() {
		s.current = true
		return flow.Done()
	}
	if s.changed() {
		if err := e.dropImport(ctx, s); err != nil {
			return flow.Fail("RestartFailed", err)
		}
	}
	if s.outdated() {
		return e.dropMaker(ctx, s.maker())
	}
	if s.changed() {
		flow.Emit(ctx, "VirtualDiskSpecHasBeenChanged", "the spec has been changed, provisioning starts anew")
	}
	s.current = true
	return flow.Done()
}

func (s *scope) changed() bool {
	return s.old.ObservedGeneration != 0 && s.old.ObservedGeneration != s.disk.Generation
}

// dropImport removes what was imported for an earlier data source. An import of
// this very source goes on: then something else in the spec was changed.
func (e *engine) dropImport(ctx context.Context, s *scope) error {
	if s.source.external != nil && e.desk.Asked(s.request().Job) {
		return nil
	}
	e.desk.Forget(string(s.disk.UID))
	if err := e.shelf.Remove(ctx, artifactName(s.disk)); err != nil {
		return fmt.Errorf("drop the import of the earlier spec: %w", err)
	}
	return nil
}

// dropMaker deletes what makes a volume that was never filled.
func (e *engine) dropMaker(ctx context.Context, maker client.Object) flow.Outcome {
	if uid := maker.GetUID(); maker.GetDeletionTimestamp().IsZero() {
		if err := e.client.Delete(ctx, maker, client.Preconditions{UID: &uid}); client.IgnoreNotFound(err) != nil {
			return flow.Fail("RestartFailed", fmt.Errorf("delete %T %s of the earlier spec: %w", maker, maker.GetName(), err))
		}
	}
	return flow.Wait(vdcondition.ProvisioningNotStarted, retryAfterDelete, "the volume of the earlier spec is being deleted")
}

// digest names a value by its content.
func digest(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// sourceDigest names where a disk's content comes from.
func sourceDigest(vd *v1alpha2.VirtualDisk) string { return digest(vd.Spec.DataSource) }
