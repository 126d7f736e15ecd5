package image

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

func class(name string, isDefault bool) *storagev1.StorageClass {
	c := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if isDefault {
		c.Annotations = map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}
	}
	return c
}

// onVolume is an image that is kept on a volume of a class.
func onVolume(storage v1alpha2.StorageType, class string) *v1alpha2.VirtualImage {
	return with(func(i *v1alpha2.VirtualImage) {
		i.Spec.Storage = storage
		if class != "" {
			i.Spec.PersistentVolumeClaim.StorageClassName = ptr.To(class)
		}
	})
}

var volumeKey = types.NamespacedName{Namespace: "team", Name: "d8v-vi-debian-u1"}

// TestImageOnVolume follows an image into DVCR, onto its volume, and to the end of both.
func TestImageOnVolume(t *testing.T) {
	image := onVolume(v1alpha2.StorageKubernetes, "")
	w := newWorld(t, image, class("fast", true), class("slow", false))
	w.authority = []byte("PEM")
	w.restart()
	w.runner.Set("u1", importer.State{Phase: importer.Running, Progress: importer.Progress{Done: 50, Total: 100}})
	w.run(t, image)
	if image.Status.Progress != "25.0%" || image.Status.StorageClassName != "fast" || said(image.Status.Conditions, "StorageClassReady") != "True StorageClassReady" {
		t.Errorf("half-way into DVCR: %s, class %q, %q", image.Status.Progress, image.Status.StorageClassName, said(image.Status.Conditions, "StorageClassReady"))
	}
	w.runner.Set("u1", done())
	w.shelf.Put("vi/team/debian:u1")
	w.run(t, image)
	volume := &cdiv1.DataVolume{}
	w.get(t, volume)
	if got := volume.Spec.Storage.Resources.Requests[corev1.ResourceStorage]; got.Value() != 4<<30 || *volume.Spec.Storage.StorageClassName != "fast" {
		t.Errorf("the volume is %s of class %s", got.String(), *volume.Spec.Storage.StorageClassName)
	}
	want := &cdiv1.DataVolumeSourceRegistry{
		URL:           ptr.To("docker://dvcr.test:5000/vi/team/debian:u1"),
		SecretRef:     ptr.To("d8v-vi-dvcr-auth-dv-debian-u1"),
		CertConfigMap: ptr.To("d8v-vi-dvcr-ca-debian-u1"),
	}
	if diff := cmp.Diff(want, volume.Spec.Source.Registry); diff != "" {
		t.Errorf("source (-want +got):\n%s", diff)
	}
	volume.Status.Progress, volume.Status.Phase = "50.0%", cdiv1.ImportInProgress
	w.updateStatus(t, volume)
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageProvisioning || image.Status.Progress != "75.0%" {
		t.Errorf("half-way onto the volume: %s, %s", image.Status.Phase, image.Status.Progress)
	}
	volume.Status.Phase = cdiv1.Succeeded
	w.updateStatus(t, volume)
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: volumeKey.Name}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}}
	w.create(t, claim)
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageReady || image.Status.Progress != "100%" || image.Status.Target.PersistentVolumeClaimName != volumeKey.Name {
		t.Errorf("at the end: %s, %s, %+v", image.Status.Phase, image.Status.Progress, image.Status.Target)
	}
	if err := w.client.Delete(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImagePVCLost || said(image.Status.Conditions, "Ready") != "False PVCLost" {
		t.Errorf("without its claim: %s, %q", image.Status.Phase, said(image.Status.Conditions, "Ready"))
	}
	verdict := interrupted(&scope{old: image.Status}, "the API server is away")
	if verdict.phase != v1alpha2.ImagePVCLost || verdict.ready != metav1.ConditionFalse {
		t.Errorf("an error of ours makes it %s, Ready %s", verdict.phase, verdict.ready)
	}
	w.create(t, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: volumeKey.Name}, Status: claim.Status})
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageReady {
		t.Errorf("with its claim back: %s", image.Status.Phase)
	}
	if err := w.client.Delete(t.Context(), image); err != nil {
		t.Fatal(err)
	}
	w.run(t, image)
	if err := w.client.Get(t.Context(), volumeKey, volume); !apierrors.IsNotFound(err) {
		t.Errorf("the DataVolume stays (%v)", err)
	}
}

func TestVolumeProblems(t *testing.T) {
	condition := func(kind cdiv1.DataVolumeConditionType, reason, message string) cdiv1.DataVolumeStatus {
		return cdiv1.DataVolumeStatus{RestartCount: 1, Conditions: []cdiv1.DataVolumeCondition{{Type: kind, Status: corev1.ConditionFalse, Reason: reason, Message: message}}}
	}
	cases := map[string]struct {
		image  *v1alpha2.VirtualImage
		volume *cdiv1.DataVolumeStatus
		phase  v1alpha2.ImagePhase
		ready  string
		says   string
		event  string
		// allowed is the only class that images may have; empty allows all.
		allowed string
	}{
		"no default class":            {image: onVolume(v1alpha2.StoragePersistentVolumeClaim, ""), phase: v1alpha2.ImagePending, ready: "False StorageClassNotReady", says: "no default", event: "VirtualImageStorageClassNotFound"},
		"no such class":               {image: onVolume(v1alpha2.StoragePersistentVolumeClaim, "none"), phase: v1alpha2.ImagePending, ready: "False StorageClassNotReady", says: "none is not there", event: "VirtualImageStorageClassNotFound"},
		"a class that is not allowed": {image: onVolume(v1alpha2.StoragePersistentVolumeClaim, "other"), phase: v1alpha2.ImagePending, ready: "False StorageClassNotReady", says: "not allowed", allowed: "slow"},
		"denied by a quota": {
			image: onVolume(v1alpha2.StoragePersistentVolumeClaim, "slow"), volume: ptr.To(condition(cdiv1.DataVolumeBound, "ErrExceededQuota", "exceeded quota: small")),
			phase: v1alpha2.ImagePending, ready: "False QuotaExceeded", says: "small", event: "DataSourceQuotaExceed",
		},
		"CDI's importer cannot be pulled": {
			image: onVolume(v1alpha2.StoragePersistentVolumeClaim, "slow"), volume: ptr.To(condition(cdiv1.DataVolumeRunning, "ImagePullFailed", "Failed to pull image")),
			phase: v1alpha2.ImagePending, ready: "False ImagePullFailed", says: "Failed to pull image", event: "ImagePullFailed",
		},
		"no claim": {
			image: onVolume(v1alpha2.StoragePersistentVolumeClaim, "slow"), volume: ptr.To(condition(cdiv1.DataVolumeBound, "ErrClaimNotValid", "bad")),
			phase: v1alpha2.ImageFailed, ready: "False ProvisioningFailed", says: "gets no claim: bad", event: "DataSourceImportFailed",
		},
		"filling fails": {
			image: onVolume(v1alpha2.StoragePersistentVolumeClaim, "slow"), volume: ptr.To(condition(cdiv1.DataVolumeRunning, "Error", "disk full")),
			phase: v1alpha2.ImageFailed, ready: "False ProvisioningFailed", says: "disk full", event: "DataSourceImportFailed",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, c.image, class("slow", false), class("other", false))
			w.classes.Default = c.allowed
			w.restart()
			w.runner.Set("u1", done())
			w.shelf.Put("vi/team/debian:u1")
			w.run(t, c.image)
			if c.volume != nil {
				volume := &cdiv1.DataVolume{}
				w.get(t, volume)
				volume.Status = *c.volume
				w.updateStatus(t, volume)
				w.run(t, c.image)
			}
			if c.image.Status.Phase != c.phase || said(c.image.Status.Conditions, "Ready") != c.ready {
				t.Errorf("%s, %q, want %s, %q", c.image.Status.Phase, said(c.image.Status.Conditions, "Ready"), c.phase, c.ready)
			}
			mentions(t, message(c.image.Status.Conditions, "Ready"), c.says)
			events := strings.Join(w.recorder.Drain(), "\n")
			if strings.Count(events, "Warning ") != min(len(c.event), 1) || !strings.Contains(events, c.event) {
				t.Errorf("events %q, want one %q", events, c.event)
			}
			if w.run(t, c.image); len(w.recorder.Drain()) > 0 {
				t.Error("the next run says it again")
			}
			if c.volume == nil {
				return
			}
			volume := &cdiv1.DataVolume{}
			w.get(t, volume)
			volume.Status = cdiv1.DataVolumeStatus{Phase: cdiv1.ImportInProgress}
			w.updateStatus(t, volume)
			if w.run(t, c.image); c.image.Status.Phase != v1alpha2.ImageProvisioning {
				t.Errorf("when it is mended, the image is %s", c.image.Status.Phase)
			}
		})
	}
}

// TestVolumeIsFilledFromDVCR has the volume of an image fail, its source go and the process end: what is in DVCR is enough to
// go on, and nothing is asked for twice.
func TestVolumeIsFilledFromDVCR(t *testing.T) {
	snapshot := snapshotOf("source")
	login := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "login"},
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)},
	}
	tests := map[string]struct {
		image  *v1alpha2.VirtualImage
		source client.Object
		others []client.Object
	}{
		"VirtualDisk":         {madeFrom(v1alpha2.ObjectRefVirtualDisk, "source"), sourceDisk("Ready"), nil},
		"VirtualImage":        {madeFrom(v1alpha2.ObjectRefVirtualImage, "source"), sourceImage("Ready", nil), nil},
		"VirtualDiskSnapshot": {madeFrom(v1alpha2.ObjectRefVirtualDiskSnapshot, "source"), snapshot[0], []client.Object{snapshot[1], classOf(storagev1.VolumeBindingWaitForFirstConsumer)}},
		"ContainerImage":      {containerImage("login"), login, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.image.Spec.Storage = v1alpha2.StoragePersistentVolumeClaim
			test.image.Spec.PersistentVolumeClaim.StorageClassName = ptr.To("slow")
			w := newWorld(t, append(test.others, test.source, test.image, class("slow", false))...)
			w.runner.Set("u1", done())
			w.shelf.Put("vi/team/debian:u1")
			w.run(t, test.image)
			volume := &cdiv1.DataVolume{}
			w.get(t, volume)
			volume.Status = cdiv1.DataVolumeStatus{RestartCount: 1, Conditions: []cdiv1.DataVolumeCondition{{Type: cdiv1.DataVolumeRunning, Status: corev1.ConditionFalse, Message: "disk full"}}}
			w.updateStatus(t, volume)
			w.run(t, test.image)
			if said(test.image.Status.Conditions, "Ready") != "False ProvisioningFailed" {
				t.Fatalf("with a volume that fails the image is %s: %s", said(test.image.Status.Conditions, "Ready"), message(test.image.Status.Conditions, "Ready"))
			}
			if err := w.client.Delete(t.Context(), test.source); err != nil {
				t.Fatal(err)
			}
			w.runner.Forget("u1")
			w.runner.Calls()
			w.restart()
			w.run(t, test.image)
			mentions(t, message(test.image.Status.Conditions, "Ready"), "disk full")
			volume.Status = cdiv1.DataVolumeStatus{Phase: cdiv1.Succeeded}
			w.updateStatus(t, volume)
			w.create(t, &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: volumeKey.Name}, Status: corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound}})
			w.run(t, test.image)
			if test.image.Status.Phase != v1alpha2.ImageReady || said(test.image.Status.Conditions, "DatasourceReady") != "True DatasourceReady" {
				t.Errorf("in the end the image is %s: %s", test.image.Status.Phase, message(test.image.Status.Conditions, "Ready"))
			}
			if calls := w.runner.Calls(); slices.Contains(calls, "start u1") {
				t.Errorf("it was imported again: %v", calls)
			}
		})
	}
}

// TestContentThatIsGone is imported again: a status alone fills no volume.
func TestContentThatIsGone(t *testing.T) {
	const name = "vi/team/debian:u1"
	cases := map[string]struct {
		change func(w *world)
		again  bool
	}{
		"in another process":                  {func(w *world) { must(t, w.shelf.Remove(t.Context(), name)); w.runner.Forget("u1"); w.restart() }, true},
		"while its volume fails":              {func(w *world) { must(t, w.shelf.Remove(t.Context(), name)) }, true},
		"it is there, in another process":     {func(w *world) { w.runner.Forget("u1"); w.restart() }, false},
		"it is there, while its volume fails": {func(*world) {}, false},
		"nobody knows, as DVCR is away":       {func(w *world) { w.shelf.Break(errors.New("away")) }, false},
	}
	for when, c := range cases {
		t.Run(when, func(t *testing.T) {
			image := onVolume(v1alpha2.StoragePersistentVolumeClaim, "slow")
			w := newWorld(t, image, class("slow", false))
			w.shelf.Put(name)
			w.runner.Set("u1", done())
			w.run(t, image)
			volume := &cdiv1.DataVolume{}
			w.get(t, volume)
			volume.Status = cdiv1.DataVolumeStatus{Phase: cdiv1.Failed}
			w.updateStatus(t, volume)
			w.run(t, image)
			w.runner.Calls()
			c.change(w)
			for range 3 {
				_, _ = flowtest.Reconcile(t, w.client, w.images, image) // it fails while DVCR is away
			}
			if calls := w.runner.Calls(); slices.Contains(calls, "start u1") != c.again {
				t.Errorf("calls %v, want it imported again: %t", calls, c.again)
			}
			if again := image.Status.Phase == v1alpha2.ImageProvisioning; again != c.again {
				t.Errorf("the image is %s: %s", image.Status.Phase, message(image.Status.Conditions, "Ready"))
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
