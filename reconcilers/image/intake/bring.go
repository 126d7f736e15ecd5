package intake

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// Reasons that the conditions Ready of images and disks share.
const (
	readyType          = "Ready"
	provisioning       = "Provisioning"
	provisioningFailed = "ProvisioningFailed"
	imagePullFailed    = "ImagePullFailed"
)

// Reasons of Ready for a source of type Upload. WaitForUserUploadTimeout is final: the object keeps it until its spec changes.
const (
	WaitForUserUpload        = "WaitForUserUpload"
	WaitForUserUploadTimeout = "WaitForUserUploadTimeout"
)

// lostEvent bounds how long an import may go unobserved when the event of its
// end was missed.
const lostEvent = time.Minute

// Bring does the whole step "import" of a kind: it sees to it that the import
// runs, emits the events that users follow it by and says what to wait for. The
// conditions are those before the run.
func (d *Desk) Bring(ctx context.Context, r Request, before []metav1.Condition) (Transfer, flow.Outcome) {
	ready := meta.FindStatusCondition(before, readyType)
	t := d.ensure(ctx, r, ready)
	announce(ctx, t, ready)
	switch {
	case t.Phase == importer.Succeeded:
		return t, flow.Done()
	case t.Expired():
		return t, flow.Stall(WaitForUserUploadTimeout, "%s", Describe(t))
	case t.AwaitsUser():
		return t, flow.Wait(WaitForUserUpload, lostEvent, "%s", t.Invitation())
	case t.Phase == importer.Failed && t.NotPulled():
		return t, flow.Wait(imagePullFailed, t.RetryAfter, "%s", Describe(t))
	case t.Phase == importer.Failed:
		return t, flow.Wait(provisioningFailed, t.RetryAfter, "%s", Describe(t))
	default:
		return t, flow.Wait(provisioning, lostEvent, "the import of %s runs", r.Job.Destination)
	}
}

// ensure starts the import, unless it is an upload that expired before and its object has not changed since.
func (d *Desk) ensure(ctx context.Context, r Request, ready *metav1.Condition) Transfer {
	expired := ready != nil && ready.Reason == WaitForUserUploadTimeout && ready.ObservedGeneration == r.Generation
	if r.Job.Source.Upload != nil && expired {
		return Transfer{State: importer.State{Phase: importer.Failed, Err: importer.ErrUploadTimeout}, Failures: 1, LastError: importer.ErrUploadTimeout}
	}
	return d.Ensure(ctx, r)
}

func announce(ctx context.Context, t Transfer, ready *metav1.Condition) {
	reason, message := "", ""
	if ready != nil {
		reason, message = ready.Reason, ready.Message
	}
	switch {
	case t.Phase == importer.Failed && message == Describe(t):
	case t.Phase == importer.Failed && t.NotPulled():
		flow.Warn(ctx, imagePullFailed, "%s", Describe(t))
	case t.Phase == importer.Failed:
		flow.Warn(ctx, "DataSourceImportFailed", "%s", Describe(t))
	case t.AwaitsUser():
	case t.Phase != importer.Succeeded && t.Failures == 0 && reason != provisioning:
		flow.Emit(ctx, "DataSourceImportStarted", "the import of the data source has started")
	}
}
