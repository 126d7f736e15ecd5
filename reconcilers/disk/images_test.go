package disk

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
)

func TestADiskThatAnImageIsMadeFromIsGivenToNoMachine(t *testing.T) {
	ref := &v1alpha2.VirtualImageObjectRef{Kind: v1alpha2.ObjectRefVirtualDisk, Name: "root"}
	image := &v1alpha2.VirtualImage{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "golden"}}
	image.Spec.DataSource.ObjectRef, image.Status.Phase = ref, v1alpha2.ImageProvisioning
	far := &v1alpha2.ClusterVirtualImage{ObjectMeta: metav1.ObjectMeta{Name: "golden"}}
	far.Spec.DataSource.ObjectRef = &v1alpha2.ClusterVirtualImageObjectRef{Kind: v1alpha2.ObjectRefVirtualDisk, Name: "root", Namespace: "team"}
	far.Status.Phase = v1alpha2.ImageProvisioning
	image.Spec.DataSource.Type, far.Spec.DataSource.Type = v1alpha2.DataSourceObjectRef, v1alpha2.DataSourceObjectRef
	for name, made := range map[string]client.Object{"VirtualImage team/golden": image, "ClusterVirtualImage golden": far} {
		t.Run(name, func(t *testing.T) {
			vd := blankDisk("1Gi")
			w := ready(t, vd)
			w.create(t, made)
			w.create(t, machine("web", v1alpha2.MachinePending))
			w.run(t, vd)
			if said(vd, "InUse") != "True UsedForImageCreation" || !strings.Contains(message(vd, "InUse"), name) {
				t.Errorf("InUse %q: %s", said(vd, "InUse"), message(vd, "InUse"))
			}
			if want := []v1alpha2.AttachedVirtualMachine{{Name: "web"}}; !slices.Equal(vd.Status.AttachedToVirtualMachines, want) {
				t.Errorf("machines %+v, want none to have the disk", vd.Status.AttachedToVirtualMachines)
			}
			if !slices.Contains(vd.Finalizers, finalizers.VirtualDiskProtection) {
				t.Errorf("finalizers %v do not protect the disk", vd.Finalizers)
			}
			if err := w.client.Delete(t.Context(), made); err != nil {
				t.Fatal(err)
			}
			w.run(t, vd)
			if !vd.Status.AttachedToVirtualMachines[0].Mounted {
				t.Error("the machine does not get the disk when the image is done")
			}
		})
	}
}
