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
)

// lostEvent bounds how long an import may go unobserved when the event of its
// end was missed.
const lostEvent = time.Minute

// Bring does the whole step "import" of a kind: it sees to it that the import
// runs, emits the events that users follow it by and says what to wait for. The
// conditions are those before the run.
func (d *Desk) Bring(ctx context.Context, r Request, before []metav1.Condition) (Transfer, flow.Outcome) {
	t := d.Ensure(ctx, r)
	announce(ctx, t, meta.FindStatusCondition(before, readyType))
	switch t.Phase {
	case importer.Succeeded:
		return t, flow.Done()
	case importer.Failed:
		return t, flow.Wait(provisioningFailed, t.RetryAfter, "%s", Describe(t))
	default:
		return t, flow.Wait(provisioning, lostEvent, "the import of %s runs", r.Job.Destination)
	}
}

func announce(ctx context.Context, t Transfer, ready *metav1.Condition) {
	reason, message := "", ""
	if ready != nil {
		reason, message = ready.Reason, ready.Message
	}
	switch {
	case t.Phase == importer.Failed && message != Describe(t):
		flow.Warn(ctx, "DataSourceImportFailed", "%s", Describe(t))
	case t.Phase != importer.Succeeded && t.Failures == 0 && reason != provisioning:
		flow.Emit(ctx, "DataSourceImportStarted", "the import of the data source has started")
	}
}
