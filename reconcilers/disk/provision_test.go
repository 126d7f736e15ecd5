package disk

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
)

func TestBlankDisk(t *testing.T) {
	vd := blankDisk("1Gi")
	w := newWorld(t, vd, localClass())
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskProvisioning || said(vd, "Ready") != "False Provisioning" {
		t.Errorf("phase %s, Ready %q", vd.Status.Phase, said(vd, "Ready"))
	}
	volume := w.volume(t)
	if volume.Spec.Source.Blank == nil || *volume.Spec.Storage.StorageClassName != "local" {
		t.Errorf("DataVolume is %+v", volume.Spec)
	}
	if volume.Annotations[keepDataVolume] != "false" || volume.Annotations[bindAtOnce] != "true" || !metav1.IsControlledBy(volume, vd) {
		t.Errorf("DataVolume's metadata is %+v", volume.ObjectMeta)
	}

	w.fill(t)
	w.run(t, vd)
	got := *vd.Status.DeepCopy()
	got.Conditions, got.Stats = nil, v1alpha2.VirtualDiskStats{}
	want := v1alpha2.VirtualDiskStatus{
		Phase: v1alpha2.DiskReady, Progress: "100%", Capacity: "1Gi", StorageClassName: "local", ObservedGeneration: 1,
		Target: v1alpha2.DiskTarget{PersistentVolumeClaimName: claimName},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	for conditionType, want := range map[string]string{
		"Ready": "True Ready", "DatasourceReady": "True DatasourceReady", "StorageClassReady": "True StorageClassReady", "InUse": "False NotInUse", "Resizing": "",
	} {
		if got := said(vd, conditionType); got != want {
			t.Errorf("%s is %q, want %q", conditionType, got, want)
		}
	}
	version := vd.ResourceVersion
	w.run(t, vd)
	if vd.ResourceVersion != version {
		t.Error("reconciling a disk that did not change wrote something")
	}
}

func TestDiskFromImage(t *testing.T) {
	clusterImage := &v1alpha2.ClusterVirtualImage{
		ObjectMeta: metav1.ObjectMeta{Name: "debian", UID: "image"},
		Status: v1alpha2.ClusterVirtualImageStatus{
			Phase:  v1alpha2.ImageReady,
			Size:   v1alpha2.ImageSize{UnpackedBytes: "4294967296"},
			Target: v1alpha2.ClusterVirtualImageTarget{RegistryURL: "dvcr.test:5000/cvi/debian:image"},
		},
	}
	tests := map[string]struct {
		disk *v1alpha2.VirtualDisk
		url  string
		size string
	}{
		"VirtualImage, size of the image": {diskFrom(v1alpha2.ObjectRefVirtualImage, "debian", ""), "docker://dvcr.test:5000/vi/team/debian:image", "4Gi"},
		"ClusterVirtualImage, larger":     {diskFrom(v1alpha2.ObjectRefClusterVirtualImage, "debian", "10Gi"), "docker://dvcr.test:5000/cvi/debian:image", "10Gi"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			vd := test.disk
			w := newWorld(t, vd, localClass(), readyImage(), clusterImage.DeepCopy())
			w.run(t, vd)
			volume := w.volume(t)
			size := volume.Spec.Storage.Resources.Requests[corev1.ResourceStorage]
			if registry := volume.Spec.Source.Registry; *registry.URL != test.url || size.String() != test.size {
				t.Errorf("DataVolume takes %s from %s", size.String(), *registry.URL)
			}
			var secret corev1.Secret
			if !w.read(t, *volume.Spec.Source.Registry.SecretRef, &secret) || string(secret.Data["accessKeyId"]) != "reader" || string(secret.Data["secretKey"]) != "secret" {
				t.Errorf("credentials for CDI are %v", secret.Data)
			}
			w.volumeIs(t, cdiv1.DataVolumeStatus{Phase: cdiv1.ImportInProgress, Progress: "41.27%"})
			w.run(t, vd)
			if vd.Status.Progress != "41.2%" || *vd.Status.SourceUID != "image" {
				t.Errorf("progress %s, source %s", vd.Status.Progress, *vd.Status.SourceUID)
			}
			w.fill(t)
			w.run(t, vd)
			if vd.Status.Phase != v1alpha2.DiskReady {
				t.Errorf("phase is %s, want Ready", vd.Status.Phase)
			}
			if w.read(t, "d8v-vd-dvcr-auth-dv-root-u1", &secret) {
				t.Error("the credentials stay although the disk is filled")
			}
		})
	}
}

func TestImageThatGoesInMidway(t *testing.T) {
	vd := diskFrom(v1alpha2.ObjectRefVirtualImage, "debian", "")
	image := readyImage()
	w := newWorld(t, vd, localClass(), image)
	w.run(t, vd)
	if err := w.client.Delete(t.Context(), image); err != nil {
		t.Fatal(err)
	}
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskProvisioning {
		t.Errorf("phase is %s; the volume is being made and the image is kept for it, want Provisioning", vd.Status.Phase)
	}
	w.fill(t)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskReady {
		t.Errorf("phase is %s, want Ready", vd.Status.Phase)
	}
}

func TestDiskFromHTTP(t *testing.T) {
	vd := httpDisk("10Gi")
	w := newWorld(t, vd, localClass())
	w.run(t, vd)
	job, _ := w.runner.Job("u1")
	wantJob := importer.Job{ID: "u1", Source: importer.Source{HTTP: &importer.HTTPSource{URL: "http://files.test/debian.qcow2"}}, Destination: "vd/team/root:u1"}
	if diff := cmp.Diff(wantJob, job); diff != "" {
		t.Errorf("job (-want +got):\n%s", diff)
	}
	w.runner.Set("u1", importer.State{Phase: importer.Running, Progress: importer.Progress{Done: 1, Total: 2, BytesPerSecond: 1 << 20}})
	w.run(t, vd)
	if vd.Status.Progress != "25.0%" || vd.Status.DownloadSpeed.Current != "1Mi/s" || w.volume(t) != nil {
		t.Errorf("half of the way into DVCR: progress %s, speed %+v", vd.Status.Progress, vd.Status.DownloadSpeed)
	}

	w.runner.Set("u1", imported())
	w.run(t, vd)
	if got := *w.volume(t).Spec.Source.Registry.URL; got != "docker://dvcr.test:5000/vd/team/root:u1" {
		t.Errorf("DataVolume takes %s", got)
	}
	w.volumeIs(t, cdiv1.DataVolumeStatus{Phase: cdiv1.ImportInProgress, Progress: "50.0%"})
	w.run(t, vd)
	if vd.Status.Progress != "75.0%" {
		t.Errorf("progress is %s, want 75.0%%", vd.Status.Progress)
	}
	w.runner.Set("u1", importer.State{Phase: importer.Pending})
	w.restart()
	w.run(t, vd)
	if vd.Status.Progress != "75.0%" || vd.Status.Phase != v1alpha2.DiskProvisioning {
		t.Errorf("after a restart: phase %s, progress %s, want it to go on from 75.0%%", vd.Status.Phase, vd.Status.Progress)
	}
	w.fill(t)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskReady || vd.Status.DownloadSpeed.Avg != "1Mi/s" {
		t.Errorf("phase %s, speed %+v", vd.Status.Phase, vd.Status.DownloadSpeed)
	}
	want := []string{
		"Normal DataSourceImportStarted the import of the data source has started",
		"Normal DataSourceImportInProgress the volume of the disk is being made",
		"Normal DataSourceImportCompleted the disk is ready",
	}
	if diff := cmp.Diff(want, w.recorder.Drain()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestBadInput is the list of bad inputs as far as disks meet it.
func TestBadInput(t *testing.T) {
	iso := readyImage()
	iso.Status.CDROM = true
	pending := readyImage()
	pending.Status.Phase = v1alpha2.ImageProvisioning
	tests := map[string]struct {
		disk      *v1alpha2.VirtualDisk
		image     *v1alpha2.VirtualImage
		state     importer.State
		phase     v1alpha2.DiskPhase
		condition string
		want      string
		says      []string
	}{
		"smaller than its image": {
			disk: diskFrom("VirtualImage", "debian", "1Gi"), image: readyImage(),
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"1Gi", "4Gi", "4294967296", "spec.persistentVolumeClaim.size"},
		},
		"smaller than what was downloaded": {
			disk: httpDisk("1Gi"), state: imported(),
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"1Gi", "4Gi"},
		},
		"image that is not there": {
			disk:  diskFrom("VirtualImage", "debian", ""),
			phase: v1alpha2.DiskPending, condition: "DatasourceReady", want: "False ImageNotFound", says: []string{"VirtualImage debian"},
		},
		"cluster image that is not there": {
			disk:  diskFrom("ClusterVirtualImage", "debian", ""),
			phase: v1alpha2.DiskPending, condition: "DatasourceReady", want: "False ClusterImageNotFound", says: []string{"ClusterVirtualImage debian"},
		},
		"image that is not ready": {
			disk: diskFrom("VirtualImage", "debian", ""), image: pending,
			phase: v1alpha2.DiskPending, condition: "DatasourceReady", want: "False ImageNotReady", says: []string{"Provisioning"},
		},
		"missing image, as Ready tells it": {
			disk:  diskFrom("VirtualImage", "debian", ""),
			phase: v1alpha2.DiskPending, condition: "Ready", want: "False DatasourceIsNotFound", says: []string{"create it"},
		},
		"ISO": {
			disk: diskFrom("VirtualImage", "debian", ""), image: iso,
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"ISO"},
		},
		"blank without a size": {
			disk:  blankDisk(""),
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"blank disk needs a size"},
		},
		"size of nothing": {
			disk:  blankDisk("0"),
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"size 0"},
		},
		"URL is 404": {
			disk: httpDisk(""), state: importer.State{Phase: importer.Failed, Err: importer.ErrNotFound},
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"correct the address"},
		},
		"server does not answer in time, or stops half-way": {
			disk: httpDisk(""), state: importer.State{Phase: importer.Failed, Err: importer.ErrUnreachable},
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"see that the server answers", "try 2"},
		},
		"wrong checksum": {
			disk: httpDisk(""), state: importer.State{Phase: importer.Failed, Err: importer.ErrChecksum},
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"correct the checksum"},
		},
		"not a disk image": {
			disk: httpDisk(""), state: importer.State{Phase: importer.Failed, Err: importer.ErrNotDiskImage},
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"raw, qcow2"},
		},
		"upload larger than the disk": {
			disk: uploadDisk(), state: importer.State{Phase: importer.Failed, Err: importer.ErrTooLarge},
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"smaller image"},
		},
		"login refused, or expired in mid-import": {
			disk: httpDisk(""), state: importer.State{Phase: importer.Failed, Err: importer.ErrUnauthorized},
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"imagePullSecret"},
		},
		"leads to an address that is refused": {
			disk: httpDisk(""), state: importer.State{Phase: importer.Failed, Err: importer.ErrForbiddenAddress},
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"not local"},
		},
		"disk space gone": {
			disk: httpDisk(""), state: importer.State{Phase: importer.Failed, Err: importer.ErrNoSpace},
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"free disk space"},
		},
		"DVCR away": {
			disk: httpDisk(""), state: importer.State{Phase: importer.Failed, Err: importer.ErrRegistry},
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False ProvisioningFailed", says: []string{"DVCR", "try 2"},
		},
		"no pull secret": {
			disk: func() *v1alpha2.VirtualDisk {
				vd := blankDisk("")
				vd.Spec.DataSource = &v1alpha2.VirtualDiskDataSource{Type: v1alpha2.DataSourceContainerImage, ContainerImage: &v1alpha2.ContainerImageSource{
					Image: "registry.test/disk:v1", ImagePullSecret: v1alpha2.ImagePullSecretName{Name: "pull"},
				}}
				return vd
			}(),
			phase: v1alpha2.DiskPending, condition: "DatasourceReady", want: "False ContainerRegistrySecretNotFound", says: []string{"pull"},
		},
		"snapshot that is not there": {
			disk:  diskFrom("VirtualDiskSnapshot", "nightly", ""),
			phase: v1alpha2.DiskPending, condition: "DatasourceReady", want: "False VirtualDiskSnapshot", says: []string{"VirtualDiskSnapshot nightly", "create it"},
		},
		"upload that never came": {
			disk: uploadDisk(), state: importer.State{Phase: importer.Failed, Err: importer.ErrUploadTimeout},
			phase: v1alpha2.DiskFailed, condition: "Ready", want: "False WaitForUserUploadTimeout", says: []string{"another address"},
		},
		"storage class that is not there": {
			disk: func() *v1alpha2.VirtualDisk {
				vd := blankDisk("1Gi")
				vd.Spec.PersistentVolumeClaim.StorageClassName = ptr.To("fast")
				return vd
			}(),
			phase: v1alpha2.DiskPending, condition: "StorageClassReady", want: "False StorageClassNotReady", says: []string{"fast"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			vd := test.disk
			w := newWorld(t, vd, localClass())
			if test.image != nil {
				w.create(t, test.image.DeepCopy())
			}
			if test.state.Phase != "" {
				w.runner.Set("u1", test.state)
			}
			w.run(t, vd)
			if vd.Status.Phase != test.phase || said(vd, test.condition) != test.want {
				t.Errorf("phase %s, %s %q, want %s and %q", vd.Status.Phase, test.condition, said(vd, test.condition), test.phase, test.want)
			}
			for _, words := range test.says {
				if got := message(vd, test.condition); !strings.Contains(got, words) {
					t.Errorf("message %q does not say %q", got, words)
				}
			}
			if w.volume(t) != nil {
				t.Error("a volume was made")
			}
		})
	}
}

func TestCorrectedSizeHeals(t *testing.T) {
	vd := httpDisk("1Gi")
	w := newWorld(t, vd, localClass())
	w.run(t, vd)
	w.runner.Set("u1", imported())
	w.shelf.Put("vd/team/root:u1")
	w.run(t, vd)
	w.runner.Calls()

	vd.Spec.PersistentVolumeClaim.Size = ptr.To(resource.MustParse("5Gi"))
	vd.Generation = 2
	w.update(t, vd)
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskProvisioning || w.volume(t) == nil {
		t.Errorf("phase %s: %s", vd.Status.Phase, message(vd, "Ready"))
	}
	if calls := w.runner.Calls(); len(calls) != 0 {
		t.Errorf("the download of an unchanged source was begun anew: %v", calls)
	}
}

func TestChangedSourceStartsAnew(t *testing.T) {
	vd := httpDisk("5Gi")
	w := newWorld(t, vd, localClass())
	w.runner.Set("u1", imported())
	w.shelf.Put("vd/team/root:u1")
	w.run(t, vd)
	first := w.volume(t)

	vd.Spec.DataSource.HTTP.URL = "http://files.test/other.qcow2"
	vd.Generation = 2
	w.update(t, vd)
	w.run(t, vd)
	if names := w.shelf.Names(); len(names) != 0 {
		t.Errorf("what the earlier source brought is still in DVCR: %v", names)
	}
	job, _ := w.runner.Job("u1")
	if w.volume(t) != nil || job.Source.HTTP.URL != "http://files.test/other.qcow2" {
		t.Errorf("DataVolume %v, job %+v: want the earlier volume gone and the new import begun", w.volume(t), job)
	}
	w.runner.Set("u1", imported())
	w.run(t, vd)
	if second := w.volume(t); second == nil || second.Annotations[madeFromSpec] == first.Annotations[madeFromSpec] {
		t.Error("want a new volume, made from the new spec")
	}
	if vd.Status.ObservedGeneration != 2 {
		t.Errorf("observed generation is %d, want 2", vd.Status.ObservedGeneration)
	}
}

func TestQuotaDenial(t *testing.T) {
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "small"}}
	denied := apierrors.NewForbidden(schema.GroupResource{Group: "cdi.kubevirt.io", Resource: "datavolumes"}, claimName, nil)

	t.Run("of the DataVolume", func(t *testing.T) {
		vd := blankDisk("1Gi")
		w := newWorld(t, vd, localClass(), quota.DeepCopy())
		w.denyVolumes = denied
		result := w.run(t, vd)
		if vd.Status.Phase != v1alpha2.DiskPending || said(vd, "Ready") != "False QuotaExceeded" || result.RequeueAfter != retryAfterQuota {
			t.Errorf("phase %s, Ready %q, again after %v", vd.Status.Phase, said(vd, "Ready"), result.RequeueAfter)
		}
		w.denyVolumes = nil
		w.run(t, vd)
		if vd.Status.Phase != v1alpha2.DiskProvisioning {
			t.Errorf("phase is %s once the quota has room, want Provisioning", vd.Status.Phase)
		}
	})
	t.Run("is not every denial", func(t *testing.T) {
		vd := blankDisk("1Gi")
		w := newWorld(t, vd, localClass())
		w.denyVolumes = denied
		w.settleWithErrors(t, vd)
		if said(vd, "Ready") == "False QuotaExceeded" || !strings.Contains(message(vd, "Ready"), "forbidden") {
			t.Errorf("Ready is %q: %s", said(vd, "Ready"), message(vd, "Ready"))
		}
	})
	t.Run("of the claim, as CDI tells it", func(t *testing.T) {
		vd := blankDisk("1Gi")
		w := newWorld(t, vd, localClass())
		w.run(t, vd)
		w.volumeIs(t, cdiv1.DataVolumeStatus{Phase: cdiv1.Pending, Conditions: []cdiv1.DataVolumeCondition{
			{Type: cdiv1.DataVolumeBound, Status: corev1.ConditionFalse, Reason: quotaReason, Message: "exceeded quota: small"},
		}})
		w.run(t, vd)
		if vd.Status.Phase != v1alpha2.DiskPending || said(vd, "Ready") != "False QuotaExceeded" || message(vd, "Ready") != "exceeded quota: small" {
			t.Errorf("phase %s, Ready %q: %s", vd.Status.Phase, said(vd, "Ready"), message(vd, "Ready"))
		}
	})
}

func TestFirstConsumer(t *testing.T) {
	late := class("late", func(c *storagev1.StorageClass) {
		c.VolumeBindingMode = ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)
	})
	vd := blankDisk("1Gi")
	vd.Spec.PersistentVolumeClaim.StorageClassName = ptr.To("late")
	w := newWorld(t, vd, late, machine("off", v1alpha2.MachineStopped))
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskWaitForFirstConsumer || said(vd, "Ready") != "False WaitingForFirstConsumer" || w.volume(t) != nil {
		t.Errorf("phase %s, Ready %q", vd.Status.Phase, said(vd, "Ready"))
	}
	if vd.Status.Target.PersistentVolumeClaimName != claimName {
		t.Error("a machine could not name the claim before it exists")
	}
	w.create(t, machine("web", v1alpha2.MachinePending))
	w.run(t, vd)
	volume := w.volume(t)
	if volume == nil || volume.Annotations[bindAtOnce] != "" {
		t.Fatalf("DataVolume is %+v, want one that waits for its consumer", volume)
	}
	w.volumeIs(t, cdiv1.DataVolumeStatus{Phase: cdiv1.WaitForFirstConsumer})
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskWaitForFirstConsumer {
		t.Errorf("phase is %s, want WaitForFirstConsumer until CDI goes on", vd.Status.Phase)
	}
}

// TestAnOriginThatIsDeletedBeforeTheFirstConsumer is kept for the disk that waits, and is for no other.
func TestAnOriginThatIsDeletedBeforeTheFirstConsumer(t *testing.T) {
	image, cluster, snapshot := readyImage(), &v1alpha2.ClusterVirtualImage{}, nightly()
	cluster.Name, cluster.UID = "debian", "image"
	cluster.Status = v1alpha2.ClusterVirtualImageStatus{Phase: v1alpha2.ImageReady, Size: image.Status.Size}
	cluster.Status.Target.RegistryURL = image.Status.Target.RegistryURL
	tests := map[v1alpha2.ObjectRefKind]struct {
		origin client.Object
		leaves func()
		others []client.Object
	}{
		"VirtualImage":        {image, func() { image.Status.Phase = v1alpha2.ImageTerminating }, nil},
		"ClusterVirtualImage": {cluster, func() { cluster.Status.Phase = v1alpha2.ImageTerminating }, nil},
		"VirtualDiskSnapshot": {snapshot[0], func() { snapshot[0].(*v1alpha2.VirtualDiskSnapshot).Status.Phase = v1alpha2.SnapshotTerminating }, snapshot[1:]},
	}
	for kind, test := range tests {
		t.Run(string(kind), func(t *testing.T) {
			origin := test.origin
			origin.SetFinalizers([]string{"test/held"})
			late := class("fast", func(c *storagev1.StorageClass) {
				c.VolumeBindingMode = ptr.To(storagev1.VolumeBindingWaitForFirstConsumer)
			})
			vd, second := diskFrom(kind, origin.GetName(), ""), diskFrom(kind, origin.GetName(), "")
			second.Name, second.UID = "second", "u2"
			for _, o := range []*v1alpha2.VirtualDisk{vd, second} {
				o.Spec.PersistentVolumeClaim.StorageClassName = ptr.To("fast")
			}
			w := newWorld(t, append(test.others, origin, late, vd, second)...)
			w.run(t, vd)
			if err := w.client.Delete(t.Context(), origin); err != nil {
				t.Fatal(err)
			}
			for _, terminating := range []bool{false, true} {
				if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(origin), origin); err != nil {
					t.Fatal(err)
				}
				if terminating {
					test.leaves()
					if err := w.client.Status().Update(t.Context(), origin); err != nil {
						t.Fatal(err)
					}
				}
				w.run(t, vd)
				w.run(t, second)
				if vd.Status.Phase != v1alpha2.DiskWaitForFirstConsumer || second.Status.Phase != v1alpha2.DiskPending {
					t.Fatalf("the disk is %s: %s; the one that has not begun %s", vd.Status.Phase, message(vd, "Ready"), second.Status.Phase)
				}
			}
			w.create(t, machine("web", v1alpha2.MachinePending))
			w.run(t, vd)
			if w.volume(t) == nil && w.claim(t) == nil {
				t.Errorf("nothing is made for the machine: %s", message(vd, "Ready"))
			}
		})
	}
}

func TestFailingVolume(t *testing.T) {
	tests := map[string]struct {
		status cdiv1.DataVolumeStatus
		phase  v1alpha2.DiskPhase
		says   string
	}{
		"is tried again by CDI": {cdiv1.DataVolumeStatus{Phase: cdiv1.ImportInProgress, RestartCount: 2, Conditions: []cdiv1.DataVolumeCondition{
			{Type: cdiv1.DataVolumeRunning, Status: corev1.ConditionFalse, Reason: "Error", Message: "no space left"},
		}}, v1alpha2.DiskFailed, "no space left"},
		"failed for good": {cdiv1.DataVolumeStatus{Phase: cdiv1.Failed, Conditions: []cdiv1.DataVolumeCondition{
			{Type: cdiv1.DataVolumeRunning, Status: corev1.ConditionFalse, Message: "source is not supported"},
		}}, v1alpha2.DiskFailed, "source is not supported"},
		"gets no claim": {cdiv1.DataVolumeStatus{Phase: cdiv1.Pending, Conditions: []cdiv1.DataVolumeCondition{
			{Type: cdiv1.DataVolumeBound, Status: corev1.ConditionFalse, Reason: "ErrResourceExists", Message: "a claim of that name exists"},
		}}, v1alpha2.DiskFailed, "a claim of that name exists"},
		"cannot pull CDI's importer": {cdiv1.DataVolumeStatus{Phase: cdiv1.ImportScheduled, Conditions: []cdiv1.DataVolumeCondition{
			{Type: cdiv1.DataVolumeRunning, Status: corev1.ConditionFalse, Reason: "ImagePullFailed", Message: "Failed to pull image: cdi-importer:v1"},
		}}, v1alpha2.DiskPending, "cdi-importer:v1"},
		"has only begun": {cdiv1.DataVolumeStatus{Phase: cdiv1.ImportScheduled, Conditions: []cdiv1.DataVolumeCondition{
			{Type: cdiv1.DataVolumeRunning, Status: corev1.ConditionFalse, Reason: "ContainerCreating", Message: "creating"},
		}}, v1alpha2.DiskProvisioning, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			vd := blankDisk("1Gi")
			w := newWorld(t, vd, localClass())
			w.run(t, vd)
			w.volumeIs(t, test.status)
			w.run(t, vd)
			if vd.Status.Phase != test.phase || !strings.Contains(message(vd, "Ready"), test.says) {
				t.Errorf("phase %s: %s", vd.Status.Phase, message(vd, "Ready"))
			}
			if vd.Status.Phase == v1alpha2.DiskPending && said(vd, "Ready") != "False ImagePullFailed" {
				t.Errorf("Ready is %s", said(vd, "Ready"))
			}
			w.fill(t)
			if w.run(t, vd); vd.Status.Phase != v1alpha2.DiskReady {
				t.Errorf("when it is mended, phase %s: %s", vd.Status.Phase, message(vd, "Ready"))
			}
		})
	}
}

func TestAnImporterThatCannotBePulled(t *testing.T) {
	vd := httpDisk("")
	w := newWorld(t, vd, localClass())
	w.runner.Set("u1", importer.State{Phase: importer.Failed, Err: intake.ErrImagePull})
	w.run(t, vd)
	if vd.Status.Phase != v1alpha2.DiskPending || said(vd, "Ready") != "False ImagePullFailed" {
		t.Errorf("the disk is %s, %s", vd.Status.Phase, said(vd, "Ready"))
	}
	w.runner.Set("u1", imported())
	if w.run(t, vd); w.volume(t) == nil {
		t.Errorf("when it could be, no volume is made: %s", message(vd, "Ready"))
	}
}
