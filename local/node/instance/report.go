package instance

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	virtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/node/qemu"
)

// report writes annotations and status, each only when it changes.
func (r *Reconciler) report(ctx context.Context, vmi *virtv1.VirtualMachineInstance, d Decision) error {
	claims, err := r.claims(ctx, vmi)
	if err != nil {
		return err
	}
	sources, err := r.sources(ctx, claims)
	if err != nil {
		return err
	}
	o := r.Runtime.Observe(vmi.UID)
	before := vmi.DeepCopy()
	annotate(vmi, o, filesOf(r.Runtime.root, vmi.UID))
	if !reflect.DeepEqual(before.Annotations, vmi.Annotations) {
		err := r.Client.Patch(ctx, vmi, client.MergeFrom(before))
		if err := client.IgnoreNotFound(err); err != nil {
			return fmt.Errorf("annotate instance %s/%s: %w", vmi.Namespace, vmi.Name, err)
		}
	}
	before = vmi.DeepCopy()
	vmi.Status = Status(View{VMI: vmi, Decision: d, Process: o, Claims: claims, Sources: sources, Node: r.Node.Name, Now: metav1.NewTime(r.Clock.Now())})
	if reflect.DeepEqual(before.Status, vmi.Status) {
		return nil
	}
	err = r.Client.Status().Patch(ctx, vmi, client.MergeFrom(before))
	if err := client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("report instance %s/%s: %w", vmi.Namespace, vmi.Name, err)
	}
	r.tell(before, vmi, d)
	return nil
}

// annotate tells how to reach the guest.
func annotate(vmi *virtv1.VirtualMachineInstance, o Observed, f files) {
	if !o.Running {
		return
	}
	if vmi.Annotations == nil {
		vmi.Annotations = map[string]string{}
	}
	vmi.Annotations[SSHAnnotation] = net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Record.SSHPort))
	vmi.Annotations[SerialAnnotation] = f.listen().Serial
	vmi.Annotations[AcceleratorAnnotation] = o.Record.Accelerator
}

// claims reads the claims of an instance, for its volume status. One that is missing is left out.
func (r *Reconciler) claims(ctx context.Context, vmi *virtv1.VirtualMachineInstance) (map[string]*corev1.PersistentVolumeClaim, error) {
	out := map[string]*corev1.PersistentVolumeClaim{}
	for i := range vmi.Spec.Volumes {
		for _, name := range claimNames(&vmi.Spec.Volumes[i]) {
			var pvc corev1.PersistentVolumeClaim
			err := r.Client.Get(ctx, client.ObjectKey{Namespace: vmi.Namespace, Name: name}, &pvc)
			if err := client.IgnoreNotFound(err); err != nil {
				return nil, fmt.Errorf("get claim %s/%s: %w", vmi.Namespace, name, err)
			}
			if err == nil {
				out[vmi.Spec.Volumes[i].Name] = &pvc
			}
		}
	}
	return out, nil
}

// sources reads the DataVolumes that claims were made for.
func (r *Reconciler) sources(ctx context.Context, claims map[string]*corev1.PersistentVolumeClaim) ([]cdiv1.DataVolume, error) {
	var out []cdiv1.DataVolume
	for _, claim := range claims {
		owner := metav1.GetControllerOf(claim)
		if owner == nil || owner.Kind != "DataVolume" {
			continue
		}
		var dv cdiv1.DataVolume
		err := r.Client.Get(ctx, client.ObjectKey{Namespace: claim.Namespace, Name: owner.Name}, &dv)
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("get DataVolume %s/%s: %w", claim.Namespace, owner.Name, err)
		}
		if err == nil {
			out = append(out, dv)
		}
	}
	return out, nil
}

// tell posts an event for each change of phase that a person cares about.
func (r *Reconciler) tell(before, vmi *virtv1.VirtualMachineInstance, d Decision) {
	if before.Status.Phase == vmi.Status.Phase {
		return
	}
	switch vmi.Status.Phase {
	case virtv1.Running:
		o := r.Runtime.Observe(vmi.UID)
		r.Recorder.Eventf(vmi, nil, corev1.EventTypeNormal, "Started", "Start", "QEMU runs as process %d on %s", o.Record.Process.PID, o.Record.Accelerator)
		if words := qemu.LastWords(filesOf(r.Runtime.root, vmi.UID).logs().Messages); words != nil { // such as CPU features that it lacks
			r.Recorder.Eventf(vmi, nil, corev1.EventTypeWarning, "QEMUWarning", "Start", "%s", words.Error())
		}
	case virtv1.Succeeded:
		r.Recorder.Eventf(vmi, nil, corev1.EventTypeNormal, "Stopped", "Watch", "%s", d.Message)
	case virtv1.Failed:
		r.Recorder.Eventf(vmi, nil, corev1.EventTypeWarning, "Failed", "Watch", "%s: %s", d.Reason, d.Message)
	}
}
