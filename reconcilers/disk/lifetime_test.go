package disk

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

func TestFilledClaimIsKept(t *testing.T) {
	vd := blankDisk("1Gi")
	w := ready(t, vd)
	claim := w.claim(t)
	if !isOwner(claim, vd) || len(claim.OwnerReferences) != 2 {
		t.Errorf("owners are %+v; with its DataVolume as the only one the claim goes with it", claim.OwnerReferences)
	}
	if diff := cmp.Diff([]string{finalizers.PersistentVolumeClaimProtection}, claim.Finalizers); diff != "" {
		t.Errorf("finalizers (-want +got):\n%s", diff)
	}

	if err := w.client.Delete(t.Context(), w.volume(t)); err != nil {
		t.Fatal(err)
	}
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskReady || w.volume(t) != nil {
		t.Errorf("phase is %s without the DataVolume, want Ready, and none made anew", vd.Status.Phase)
	}

	if err := w.client.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	w.run(t, vd)
	if w.claim(t) == nil || !strings.Contains(message(vd, "Ready"), "deleted by somebody") {
		t.Errorf("claim %v: %s", w.claim(t), message(vd, "Ready"))
	}
}

func TestLostStatusLosesNoData(t *testing.T) {
	vd := httpDisk("5Gi")
	w := newWorld(t, vd, localClass())
	w.runner.Set("u1", imported())
	w.run(t, vd)
	w.fill(t)
	w.run(t, vd)
	if err := w.client.Delete(t.Context(), w.volume(t)); err != nil {
		t.Fatal(err)
	}
	w.runner.Calls()
	vd.Status = v1alpha2.VirtualDiskStatus{}
	if err := w.client.Status().Update(t.Context(), vd); err != nil {
		t.Fatal(err)
	}
	w.restart()
	w.run(t, vd)
	calls := w.runner.Calls()
	if vd.Status.Phase != v1alpha2.DiskReady || w.volume(t) != nil || slices.Contains(calls, "start u1") {
		t.Errorf("phase %s, calls %v: a claim with data must be found again", vd.Status.Phase, calls)
	}
}

func TestLostVolume(t *testing.T) {
	vd := blankDisk("1Gi")
	w := ready(t, vd)
	claim := w.claim(t)
	claim.Status.Phase = corev1.ClaimLost
	if err := w.client.Status().Update(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskPVCLost || said(vd, "Ready") != "False PVCLost" {
		t.Errorf("phase %s, Ready %q", vd.Status.Phase, said(vd, "Ready"))
	}
	claim = w.claim(t)
	claim.Status.Phase = corev1.ClaimBound
	if err := w.client.Status().Update(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskReady {
		t.Errorf("phase is %s once the volume is back, want Ready", vd.Status.Phase)
	}
}

// TestExport follows DVP's export of a disk: the claim is annotated, loses its volume to the export and gets it back.
func TestExport(t *testing.T) {
	vd := blankDisk("1Gi")
	w := ready(t, vd)
	exported := func(asked string, phase corev1.PersistentVolumeClaimPhase) {
		t.Helper()
		claim := w.claim(t)
		claim.Annotations[annotations.DataExportRequest] = asked
		w.update(t, claim)
		claim.Status.Phase = phase
		if err := w.client.Status().Update(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
		w.run(t, vd)
	}
	says := func(when string, phase v1alpha2.DiskPhase, ready, use string) {
		t.Helper()
		if vd.Status.Phase != phase || said(vd, "Ready") != ready || said(vd, "InUse") != use {
			t.Errorf("%s: %s, Ready %q, InUse %q, want %s, %q, %q", when, vd.Status.Phase, said(vd, "Ready"), said(vd, "InUse"), phase, ready, use)
		}
	}
	exported("true", corev1.ClaimBound)
	says("asked for", v1alpha2.DiskReady, "True Ready", "True UsedForDataExport")
	w.create(t, machine("web", v1alpha2.MachinePending))
	exported("true", corev1.ClaimLost)
	says("under way", v1alpha2.DiskExporting, "False Exporting", "True UsedForDataExport")
	if vd.Status.AttachedToVirtualMachines[0].Mounted || !slices.Contains(vd.Finalizers, finalizers.VirtualDiskProtection) {
		t.Errorf("machines %+v, finalizers %v: nobody else may have the disk", vd.Status.AttachedToVirtualMachines, vd.Finalizers)
	}
	exported("", corev1.ClaimLost)
	says("without the annotation", v1alpha2.DiskPVCLost, "False PVCLost", "True AttachedToVirtualMachine")
	exported("true", corev1.ClaimLost)
	exported("", corev1.ClaimBound)
	says("at the end", v1alpha2.DiskReady, "True Ready", "True AttachedToVirtualMachine")
	if !vd.Status.AttachedToVirtualMachines[0].Mounted {
		t.Error("the machine does not get the disk back")
	}
}

func TestExportsThatAreNone(t *testing.T) {
	for name, running := range map[string]bool{"a machine has the disk": true, "not asked for with true": false} {
		t.Run(name, func(t *testing.T) {
			vd := blankDisk("1Gi")
			w := ready(t, vd)
			claim := w.claim(t)
			claim.Annotations[annotations.DataExportRequest] = strconv.FormatBool(running)
			w.update(t, claim)
			want := "False NotInUse"
			if running {
				w.create(t, machine("web", v1alpha2.MachineRunning))
				want = "True AttachedToVirtualMachine"
			}
			if w.run(t, vd); said(vd, "InUse") != want {
				t.Errorf("InUse %q, want %q", said(vd, "InUse"), want)
			}
		})
	}
}

func TestDeletionWaitsForAnExport(t *testing.T) {
	vd := blankDisk("1Gi")
	w := ready(t, vd)
	claim := w.claim(t)
	claim.Annotations[annotations.DataExportRequest] = "true"
	w.update(t, claim)
	w.run(t, vd)
	if err := w.client.Delete(t.Context(), vd); err != nil {
		t.Fatal(err)
	}
	w.run(t, vd)
	if !strings.Contains(message(vd, "Terminating"), annotations.DataExportRequest) {
		t.Errorf("Terminating says %q", message(vd, "Terminating"))
	}
	claim = w.claim(t)
	delete(claim.Annotations, annotations.DataExportRequest)
	w.update(t, claim)
	for range 4 {
		if _, err := flowtest.Reconcile(t, w.client, w.disks, vd); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
	if w.claim(t) != nil {
		t.Error("the claim stays when the export is done")
	}
}

func TestChangedSourceOfFilledDisk(t *testing.T) {
	vd := blankDisk("1Gi")
	w := ready(t, vd)
	vd.Spec.DataSource = httpDisk("").Spec.DataSource
	vd.Generation = 2
	w.update(t, vd)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskReady || len(w.runner.Calls()) != 0 || !strings.Contains(message(vd, "Ready"), "keeps its data") {
		t.Errorf("phase %s: %s", vd.Status.Phase, message(vd, "Ready"))
	}
}

func TestMoveIsRefused(t *testing.T) {
	vd := blankDisk("1Gi")
	w := ready(t, vd, class("fast"))
	vd.Spec.PersistentVolumeClaim.StorageClassName = ptr.To("fast")
	vd.Generation = 2
	w.update(t, vd)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskReady || said(vd, "Migrating") != "False NotSupported" || vd.Status.StorageClassName != "local" {
		t.Errorf("phase %s, Migrating %q, class %s", vd.Status.Phase, said(vd, "Migrating"), vd.Status.StorageClassName)
	}
}

func TestDiskGrows(t *testing.T) {
	vd := blankDisk("1Gi")
	w := ready(t, vd)
	vd.Spec.PersistentVolumeClaim.Size = ptr.To(resource.MustParse("3Gi"))
	vd.Generation = 2
	w.update(t, vd)
	w.run(t, vd)
	claim := w.claim(t)
	if got := claim.Spec.Resources.Requests.Storage().String(); got != "3Gi" {
		t.Errorf("the claim asks for %s, want 3Gi", got)
	}
	if vd.Status.Phase != v1alpha2.DiskResizing || said(vd, "Resizing") != "True InProgress" || said(vd, "Ready") != "True Ready" {
		t.Errorf("phase %s, Resizing %q, Ready %q", vd.Status.Phase, said(vd, "Resizing"), said(vd, "Ready"))
	}
	claim.Status.Capacity[corev1.ResourceStorage] = resource.MustParse("3Gi")
	if err := w.client.Status().Update(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskReady || said(vd, "Resizing") != "" || vd.Status.Capacity != "3Gi" {
		t.Errorf("phase %s, Resizing %q, capacity %s", vd.Status.Phase, said(vd, "Resizing"), vd.Status.Capacity)
	}
	want := []string{
		"Normal VirtualDiskResizingStarted the disk is growing",
		"Normal VirtualDiskResizingCompleted the disk has grown",
	}
	if diff := cmp.Diff(want, w.recorder.Drain()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestSizeThatCannotBeHad(t *testing.T) {
	tests := map[string]struct {
		size  string
		class func(*storagev1.StorageClass)
		says  string
	}{
		"smaller":                     {"1Gi", func(*storagev1.StorageClass) {}, "cannot shrink: it has 2Gi, the spec asks for 1Gi"},
		"class without room to grow":  {"3Gi", func(c *storagev1.StorageClass) { c.AllowVolumeExpansion = nil }, "does not let volumes grow"},
		"class that was deleted (3G)": {"3Gi", func(c *storagev1.StorageClass) { c.Name = "" }, "does not let volumes grow"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			vd := blankDisk("2Gi")
			w := ready(t, vd)
			local := localClass()
			if err := w.client.Delete(t.Context(), localClass()); err != nil {
				t.Fatal(err)
			}
			if test.class(local); local.Name != "" {
				w.create(t, local)
			}
			vd.Spec.PersistentVolumeClaim.Size = ptr.To(resource.MustParse(test.size))
			vd.Generation = 2
			w.update(t, vd)
			w.run(t, vd)
			if vd.Status.Phase != v1alpha2.DiskReady || said(vd, "Resizing") != "False ResizingNotAvailable" || !strings.Contains(message(vd, "Resizing"), test.says) {
				t.Errorf("phase %s, Resizing %q: %s", vd.Status.Phase, said(vd, "Resizing"), message(vd, "Resizing"))
			}
			if got := w.claim(t).Spec.Resources.Requests.Storage().String(); got != "2Gi" {
				t.Errorf("the claim asks for %s, want 2Gi still", got)
			}
		})
	}
}

func TestDeletion(t *testing.T) {
	tests := map[string]struct {
		phase v1alpha2.MachinePhase
		waits bool
	}{
		"machine runs":    {v1alpha2.MachineRunning, true},
		"machine stops":   {v1alpha2.MachineStopping, true},
		"machine is off":  {v1alpha2.MachineStopped, false},
		"machine waits":   {v1alpha2.MachinePending, false},
		"machine is gone": {"", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			vd := httpDisk("5Gi")
			w := newWorld(t, vd, localClass(), machine("web", test.phase))
			w.runner.Set("u1", imported())
			w.shelf.Put("vd/team/root:u1")
			w.run(t, vd)
			w.fill(t)
			w.run(t, vd)
			if err := w.client.Delete(t.Context(), vd); err != nil {
				t.Fatal(err)
			}
			w.settleWithErrors(t, vd)
			w.settleWithErrors(t, vd)
			gone := !w.read(t, "root", &v1alpha2.VirtualDisk{}) && w.claim(t) == nil && w.volume(t) == nil && len(w.shelf.Names()) == 0
			if gone == test.waits {
				t.Errorf("gone is %t, want %t", gone, !test.waits)
			}
			if test.waits && (vd.Status.Phase != v1alpha2.DiskTerminating || w.claim(t) == nil || w.volume(t) == nil || !strings.Contains(message(vd, "Terminating"), "machine web")) {
				t.Errorf("phase %s, Terminating says %q; want all of it to stay", vd.Status.Phase, message(vd, "Terminating"))
			}
		})
	}
}

func TestProtection(t *testing.T) {
	vd := blankDisk("1Gi")
	w := ready(t, vd)
	web := machine("web", v1alpha2.MachineRunning)
	w.create(t, web)
	w.run(t, vd)
	if said(vd, "InUse") != "True AttachedToVirtualMachine" || !cmp.Equal(vd.Finalizers, []string{finalizers.VirtualDiskCleanup, finalizers.VirtualDiskProtection}) {
		t.Errorf("InUse %q, finalizers %v", said(vd, "InUse"), vd.Finalizers)
	}
	web.Status.Phase = v1alpha2.MachineStopped
	if err := w.client.Status().Update(t.Context(), web); err != nil {
		t.Fatal(err)
	}
	w.run(t, vd)
	if said(vd, "InUse") != "False NotInUse" || !cmp.Equal(vd.Finalizers, []string{finalizers.VirtualDiskCleanup}) {
		t.Errorf("InUse %q, finalizers %v", said(vd, "InUse"), vd.Finalizers)
	}
}
