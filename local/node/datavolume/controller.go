package datavolume

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Deps are what the reconciler works with.
type Deps struct {
	Client client.Client
	Clock  clock.PassiveClock
}

// Reconciler serves DataVolumes.
type Reconciler struct{ Deps }

// NewReconciler makes a reconciler.
func NewReconciler(d Deps) *Reconciler { return &Reconciler{Deps: d} }

// SetupWithManager watches DataVolumes and their claims.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	err := ctrl.NewControllerManagedBy(mgr).
		Named("node-datavolume").
		For(&cdiv1.DataVolume{}).
		Owns(&corev1.PersistentVolumeClaim{}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("set up the DataVolume controller: %w", err)
	}
	return nil
}

// retryClaim is how long after a refused claim another attempt is made: no event tells that a quota has room again.
const retryClaim = 10 * time.Second

// Reconcile brings one DataVolume a step further.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	dv := &cdiv1.DataVolume{}
	if err := r.Client.Get(ctx, req.NamespacedName, dv); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("get DataVolume %s: %w", req, err)
	}
	if !dv.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil // the claim goes with its owner
	}
	view := View{DV: dv, Refused: refuse(dv), Now: metav1.NewTime(r.Clock.Now())}
	var errClaim error
	if view.Refused == "" {
		view.Claim, view.Blocked, errClaim = r.claim(ctx, dv)
	}
	var result ctrl.Result
	if view.Claim == nil && view.Refused == "" {
		result.RequeueAfter = retryClaim
	}
	return result, errors.Join(errClaim, r.report(ctx, view))
}

// claim finds the DataVolume's claim or makes it.
func (r *Reconciler) claim(ctx context.Context, dv *cdiv1.DataVolume) (*corev1.PersistentVolumeClaim, Blocker, error) {
	pvc := &corev1.PersistentVolumeClaim{}
	err := r.Client.Get(ctx, client.ObjectKeyFromObject(dv), pvc)
	if err == nil && !metav1.IsControlledBy(pvc, dv) {
		return nil, Blocker{ReasonExists, fmt.Sprintf("a claim named %s exists and is not this DataVolume's", pvc.Name)}, nil
	}
	if err == nil {
		return pvc, Blocker{}, nil
	}
	if !apierrors.IsNotFound(err) {
		return nil, Blocker{}, fmt.Errorf("get claim %s/%s: %w", dv.Namespace, dv.Name, err)
	}
	if wasFilled(dv) { // an empty claim in its place would look like the lost data
		return nil, Blocker{ReasonLost, "claim " + dv.Name + " was deleted, and its data with it"}, nil
	}
	return r.create(ctx, claimFor(dv))
}

// wasFilled says that the DataVolume had its claim once.
func wasFilled(dv *cdiv1.DataVolume) bool {
	return dv.Status.Phase == cdiv1.Succeeded || slices.ContainsFunc(dv.Status.Conditions, func(c cdiv1.DataVolumeCondition) bool {
		return c.Type == cdiv1.DataVolumeBound && c.Reason == ReasonLost
	})
}

func (r *Reconciler) create(ctx context.Context, pvc *corev1.PersistentVolumeClaim) (*corev1.PersistentVolumeClaim, Blocker, error) {
	err := r.Client.Create(ctx, pvc)
	switch {
	case err == nil:
		return pvc, Blocker{}, nil
	case apierrors.IsAlreadyExists(err): // the cache is behind: its event comes
		return nil, Blocker{ReasonPending, "PVC " + pvc.Name + " is being created"}, nil
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return nil, Blocker{ReasonExceededQuota, err.Error()}, nil
	case apierrors.IsForbidden(err) || apierrors.IsInvalid(err):
		return nil, Blocker{ReasonClaimFailed, err.Error()}, nil
	}
	return nil, Blocker{ReasonClaimFailed, err.Error()}, fmt.Errorf("create claim %s/%s: %w", pvc.Namespace, pvc.Name, err)
}

func (r *Reconciler) report(ctx context.Context, v View) error {
	before := v.DV.DeepCopy()
	v.DV.Status = Status(v)
	if reflect.DeepEqual(before.Status, v.DV.Status) {
		return nil
	}
	if err := r.Client.Status().Patch(ctx, v.DV, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("report DataVolume %s/%s: %w", v.DV.Namespace, v.DV.Name, err)
	}
	return nil
}
