package machine

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/machine/change"
)

// Events that tell of the configuration.
const (
	eventSynced         = "VirtualMachineSynced"
	eventNotSynced      = "VirtualMachineNotSynced"
	eventChangesApplied = "ChangesApplied"
	eventAwaiting       = "RestartAwaitingChanges"
)

// writing is what to do about the KubeVirt machine's configuration.
type writing struct {
	// write the configuration.
	write bool
	// start the machine for the first time.
	start bool
	// restart the instance that has the old configuration.
	restart bool
}

// decideWriting says when the configuration reaches KubeVirt: at once while no
// guest runs, and otherwise only together with a restart that was approved.
func decideWriting(s *scope) writing {
	policy := s.vm.Spec.RunPolicy
	switch {
	case !s.complete():
		return writing{}
	case s.engine == nil:
		return writing{write: true, start: policy == v1alpha2.AlwaysOnUnlessStoppedManually}
	case s.stuck():
		return writing{write: !s.unchanged(), restart: !s.unchanged()}
	case s.state().Alive():
		approved := s.restartRequested() || automatic(s.vm) && s.awaiting()
		return writing{write: approved && !s.unchanged(), restart: approved && !s.unchanged()}
	default:
		wasOff := s.record.spec != nil && s.record.spec.RunPolicy == v1alpha2.AlwaysOffPolicy
		return writing{
			write: !s.unchanged() || drifted(s),
			start: wasOff && policy == v1alpha2.AlwaysOnUnlessStoppedManually,
		}
	}
}

func automatic(vm *v1alpha2.VirtualMachine) bool {
	return vm.Spec.Disruptions != nil && vm.Spec.Disruptions.RestartApprovalMode == v1alpha2.RestartAutomatic
}

// unchanged tells that exactly this was applied before.
func (s *scope) unchanged() bool { return s.record.hash == hashOf(s.built) }

// drifted tells that somebody else changed what was applied.
func drifted(s *scope) bool {
	return !equality.Semantic.DeepDerivative(s.built.Spec, s.engine.Spec)
}

// apply writes the configuration by server-side apply when it is time to.
func (e *engineer) apply(ctx context.Context, s *scope) flow.Outcome {
	if s.engine != nil && !s.engine.DeletionTimestamp.IsZero() {
		return e.unprotect(ctx, s.engine) // somebody deletes it; a new one follows
	}
	announce(ctx, s)
	w := decideWriting(s)
	if !w.write {
		return flow.Done()
	}
	if err := e.ensurePullSecret(ctx, s); err != nil {
		return flow.Fail(reasonWriting, err)
	}
	existed, pending := s.engine != nil, change.Largest(s.changes)
	err := e.write(ctx, s, w)
	if apierrors.IsConflict(err) {
		return flow.Wait(reasonWriting, again, "the KubeVirt machine was changed meanwhile")
	}
	if err != nil {
		flow.Warn(ctx, eventNotSynced, "%s", err)
		return flow.Fail(reasonWriting, err)
	}
	flow.Emit(ctx, eventSynced, "the KubeVirt machine has the configuration of generation %d", s.vm.Generation)
	if existed && pending > change.None {
		flow.Emit(ctx, eventChangesApplied, "%d changes were applied", len(s.changes))
	}
	s.changes = nil
	return flow.Done()
}

// announce tells once that changes wait for a restart.
func announce(ctx context.Context, s *scope) {
	if s.awaiting() && !automatic(s.vm) && len(s.vm.Status.RestartAwaitingChanges) == 0 {
		flow.Emit(ctx, eventAwaiting, "%d changes take effect with a restart", len(s.changes))
	}
}

func (e *engineer) write(ctx context.Context, s *scope, w writing) error {
	desired := s.built.DeepCopy()
	desired.OwnerReferences = []metav1.OwnerReference{ownedBy(s.vm)}
	desired.Finalizers = []string{finalizers.KubeVirtVirtualMachineProtection}
	carryRequests(desired, s, w)
	if s.engine != nil {
		desired.ResourceVersion = s.engine.ResourceVersion
	}
	written, err := applyObject(ctx, e.client, desired)
	if err != nil {
		return fmt.Errorf("apply KubeVirt machine %s: %w", s.vm.Name, err)
	}
	engine := &kubevirtv1.VirtualMachine{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(written.Object, engine); err != nil {
		return fmt.Errorf("read KubeVirt machine %s: %w", s.vm.Name, err)
	}
	s.engine = engine
	s.record = record{spec: &s.vm.Spec, class: &s.class.Spec, hash: hashOf(s.built)}
	return nil
}

// carryRequests writes the requests to start or restart in one go with the
// configuration, so that none is lost in between.
func carryRequests(desired *kubevirtv1.VirtualMachine, s *scope, w writing) {
	if w.start || s.startRequested() {
		desired.Annotations[startAnnotation] = requested
	}
	switch {
	case w.restart && s.instance != nil:
		desired.Annotations[restartAnnotation] = string(s.instance.UID)
	case s.engine != nil && s.engine.Annotations[restartAnnotation] != "":
		desired.Annotations[restartAnnotation] = s.engine.Annotations[restartAnnotation]
	}
}

// applyObject owns the fields that the object sets and takes away those that it
// no longer sets.
func applyObject(ctx context.Context, c client.Client, object client.Object) (*unstructured.Unstructured, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", object, err)
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(text, u); err != nil {
		return nil, fmt.Errorf("decode %T: %w", object, err)
	}
	delete(u.Object, "status")
	for _, path := range [][]string{{"metadata", "creationTimestamp"}, {"spec", "template", "metadata", "creationTimestamp"}} {
		unstructured.RemoveNestedField(u.Object, path...)
	}
	if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), fieldManager, client.ForceOwnership); err != nil {
		return nil, err //nolint:wrapcheck // the caller names the object
	}
	return u, nil
}
