package image

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/upload"
	"slipway.dev/slipway/internal/signatures"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

func TestImageIsImported(t *testing.T) {
	image := httpImage()
	w := newWorld(t, image)

	w.run(t, image)
	if got := said(image.Status.Conditions, "Ready"); image.Status.Phase != v1alpha2.ImageProvisioning || got != "False Provisioning" {
		t.Errorf("at first: phase %s, Ready %q", image.Status.Phase, got)
	}
	wantJob := importer.Job{
		ID:          "u1",
		Source:      importer.Source{HTTP: &importer.HTTPSource{URL: httpURL}},
		Destination: "vi/team/debian:u1",
	}
	if job, _ := w.runner.Job("u1"); !cmp.Equal(wantJob, job) {
		t.Errorf("job (-want +got):\n%s", cmp.Diff(wantJob, job))
	}

	w.runner.Set("u1", importer.State{Phase: importer.Running, Progress: importer.Progress{Done: 1, Total: 8, BytesPerSecond: 1 << 20}})
	w.run(t, image)
	if image.Status.Progress != "12.5%" || image.Status.DownloadSpeed.Current != "1Mi/s" {
		t.Errorf("on the way: progress %q, speed %+v", image.Status.Progress, image.Status.DownloadSpeed)
	}

	w.runner.Set("u1", done())
	w.shelf.Put("vi/team/debian:u1")
	result := w.run(t, image)
	want := v1alpha2.VirtualImageStatus{
		Phase:         v1alpha2.ImageReady,
		Progress:      "100%",
		Format:        "qcow2",
		Size:          v1alpha2.ImageSize{Stored: "30Mi", StoredBytes: "31457280", Unpacked: "4Gi", UnpackedBytes: "4294967296"},
		DownloadSpeed: &v1alpha2.DownloadSpeed{Avg: "8Mi/s", AvgBytes: "8388608"},
		Target:        v1alpha2.VirtualImageTarget{RegistryURL: "dvcr.test:5000/vi/team/debian:u1"},

		ObservedGeneration: 1,
	}
	got := *image.Status.DeepCopy()
	got.Conditions = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("in the end (-want +got):\n%s", diff)
	}
	for conditionType, want := range map[string]string{
		"Ready": "True Ready", "DatasourceReady": "True DatasourceReady", "StorageClassReady": "Unknown DVCRTypeUsed", "InUse": "False NotInUse",
	} {
		if got := said(image.Status.Conditions, conditionType); got != want {
			t.Errorf("%s is %q, want %q", conditionType, got, want)
		}
	}
	if result.RequeueAfter != defaultCheckEvery {
		t.Errorf("looked for again after %v, want %v", result.RequeueAfter, defaultCheckEvery)
	}
	wantEvents := []string{
		"Normal DataSourceImportStarted the import of the data source has started",
		"Normal DataSourceImportCompleted the content of the data source is in DVCR",
	}
	if diff := cmp.Diff(wantEvents, w.recorder.Drain()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestClusterImageIsImported(t *testing.T) {
	image := &v1alpha2.ClusterVirtualImage{
		ObjectMeta: metav1.ObjectMeta{Name: "debian", UID: "u2", Generation: 1},
		Spec: v1alpha2.ClusterVirtualImageSpec{DataSource: v1alpha2.ClusterVirtualImageDataSource{
			Type: v1alpha2.DataSourceContainerImage,
			ContainerImage: &v1alpha2.ClusterContainerImageSource{
				Image: "registry.test/disk:v1", ImagePullSecret: v1alpha2.ImagePullSecret{Namespace: "secrets", Name: "pull"},
			},
		}},
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "secrets", Name: "pull"},
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{"registry.test":{"username":"u","password":"p"}}}`)},
	}
	machine := machineWith("web", v1alpha2.MachineRunning, v1alpha2.ClusterImageDevice)
	w := newWorld(t, image, secret, machine)
	flowtest.Settle(t, w.client, w.clusters, image, 10)

	want := importer.Job{
		ID:          "u2",
		Source:      importer.Source{Registry: &importer.RegistrySource{Image: "registry.test/disk:v1", Username: "u", Password: "p"}},
		Destination: "cvi/debian:u2",
	}
	if job, _ := w.runner.Job("u2"); !cmp.Equal(want, job) {
		t.Errorf("job (-want +got):\n%s", cmp.Diff(want, job))
	}
	w.runner.Set("u2", done())
	flowtest.Settle(t, w.client, w.clusters, image, 10)
	status := image.Status
	if status.Phase != v1alpha2.ImageReady || status.Target.RegistryURL != "dvcr.test:5000/cvi/debian:u2" || status.Format != "qcow2" {
		t.Errorf("status is %+v", status)
	}
	if diff := cmp.Diff([]string{"team"}, status.UsedInNamespaces); diff != "" {
		t.Errorf("usedInNamespaces (-want +got):\n%s", diff)
	}
	if got := said(status.Conditions, "StorageClassReady"); got != "" {
		t.Errorf("a ClusterVirtualImage has no StorageClassReady, got %q", got)
	}
}

// TestBadInput is the list of bad inputs as far as images meet it.
func TestBadInput(t *testing.T) {
	tests := map[string]struct {
		image *v1alpha2.VirtualImage
		state importer.State
		// the condition and phase that tell, and words that its message has
		phase     v1alpha2.ImagePhase
		condition string
		want      string
		says      []string
	}{
		"URL is 404": {
			httpImage(), failure(importer.ErrNotFound),
			v1alpha2.ImageFailed, "Ready", "False ProvisioningFailed",
			[]string{httpURL, "correct the address"},
		},
		"server does not answer in time, or stops half-way": {
			httpImage(), failure(importer.ErrUnreachable),
			v1alpha2.ImageFailed, "Ready", "False ProvisioningFailed",
			[]string{httpURL, "try 2 follows at 12:00:02 UTC"},
		},
		"wrong checksum": {
			httpImage(), failure(importer.ErrChecksum),
			v1alpha2.ImageFailed, "Ready", "False ProvisioningFailed",
			[]string{"correct the checksum"},
		},
		"not a disk image": {
			httpImage(), failure(importer.ErrNotDiskImage),
			v1alpha2.ImageFailed, "Ready", "False ProvisioningFailed",
			[]string{"raw, qcow2"},
		},
		"login refused, or expired in mid-import": {
			httpImage(), failure(importer.ErrUnauthorized),
			v1alpha2.ImageFailed, "Ready", "False ProvisioningFailed",
			[]string{"imagePullSecret"},
		},
		"leads to an address that is refused": {
			httpImage(), failure(importer.ErrForbiddenAddress),
			v1alpha2.ImageFailed, "Ready", "False ProvisioningFailed",
			[]string{"not local"},
		},
		"too large, or unpacks to too much": {
			httpImage(), failure(importer.ErrTooLarge),
			v1alpha2.ImageFailed, "Ready", "False ProvisioningFailed",
			[]string{"smaller image"},
		},
		"disk space gone": {
			httpImage(), failure(importer.ErrNoSpace),
			v1alpha2.ImageFailed, "Ready", "False ProvisioningFailed",
			[]string{"free disk space"},
		},
		"DVCR away": {
			httpImage(), failure(importer.ErrRegistry),
			v1alpha2.ImageFailed, "Ready", "False ProvisioningFailed",
			[]string{"DVCR", "goes on when it is back"},
		},
		"no pull secret": {
			containerImage("pull"),
			importer.State{},
			v1alpha2.ImagePending, "DatasourceReady", "False ContainerRegistrySecretNotFound",
			[]string{"team/pull", "create it"},
		},
		"no secret that says who must have signed": {
			signedBy(containerImage(""), "keys"),
			importer.State{},
			v1alpha2.ImagePending, "DatasourceReady", "False ContainerRegistrySecretNotFound",
			[]string{"team/keys", "image.slipway.dev/signed-by"},
		},
		"secret of another namespace": {
			signedBy(containerImage(""), "other/keys"),
			importer.State{},
			v1alpha2.ImagePending, "DatasourceReady", "False ContainerRegistrySecretNotFound",
			[]string{"another namespace", "copy it to team"},
		},
		"not signed": {
			containerImage(""), failure(importer.ErrUnsigned),
			v1alpha2.ImageFailed, "Ready", "False ProvisioningFailed",
			[]string{"not signed", "have it signed"},
		},
		"pull secret without credentials": {
			containerImage("broken"),
			importer.State{},
			v1alpha2.ImagePending, "DatasourceReady", "False ContainerRegistrySecretNotFound",
			[]string{"broken", ".dockerconfigjson"},
		},
		"made from a snapshot that is not there": {
			madeFrom("VirtualDiskSnapshot", "root"),
			importer.State{},
			v1alpha2.ImagePending, "DatasourceReady", "False VirtualDiskSnapshotNotReady",
			[]string{"VirtualDiskSnapshot team/root is not there"},
		},
		"made from an image that is not there": {
			madeFrom("VirtualImage", "none"),
			importer.State{},
			v1alpha2.ImagePending, "DatasourceReady", "False ImageNotReady",
			[]string{"team/none is not there"},
		},
		"made from a cluster image that is not there": {
			madeFrom("ClusterVirtualImage", "none"),
			importer.State{},
			v1alpha2.ImagePending, "DatasourceReady", "False ClusterImageNotReady",
			[]string{"ClusterVirtualImage none is not there"},
		},
		"made from a disk that is not there": {
			madeFrom("VirtualDisk", "none"),
			importer.State{},
			v1alpha2.ImagePending, "DatasourceReady", "False VirtualDiskNotReady",
			[]string{"team/none is not there"},
		},
		"upload awaited": {
			uploaded(nil),
			importer.State{Phase: importer.Waiting, Upload: &upload.URLs{External: "http://a/upload/x", InCluster: "http://b/upload/x"}},
			v1alpha2.ImageWaitForUserUpload, "Ready", "False WaitForUserUpload",
			[]string{"status.imageUploadURLs"},
		},
		"upload broken off": {
			uploaded(nil),
			importer.State{Phase: importer.Waiting, Progress: importer.Progress{Done: 5, Total: 10}},
			v1alpha2.ImageProvisioning, "Ready", "False Provisioning",
			[]string{"after 5 bytes", "-C 5"},
		},
		"upload expired": {
			uploaded(nil),
			importer.State{Phase: importer.Failed, Err: importer.ErrUploadTimeout},
			v1alpha2.ImageFailed, "Ready", "False WaitForUserUploadTimeout",
			[]string{"in time", "delete and create"},
		},
		"upload expired in an earlier process": {
			uploaded(&metav1.Condition{Type: "Ready", Status: "False", Reason: "WaitForUserUploadTimeout", ObservedGeneration: 1}),
			importer.State{Phase: importer.Waiting},
			v1alpha2.ImageFailed, "Ready", "False WaitForUserUploadTimeout",
			[]string{"in time"},
		},
		"upload expired, the spec has changed": {
			uploaded(&metav1.Condition{Type: "Ready", Status: "False", Reason: "WaitForUserUploadTimeout", ObservedGeneration: 0}),
			importer.State{Phase: importer.Waiting},
			v1alpha2.ImageWaitForUserUpload, "Ready", "False WaitForUserUpload",
			nil,
		},
	}
	broken := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "broken"}}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, test.image, broken.DeepCopy())
			if test.state.Phase != "" {
				w.runner.Set("u1", test.state)
			}
			w.run(t, test.image)
			conditions := test.image.Status.Conditions
			if test.image.Status.Phase != test.phase {
				t.Errorf("phase is %s, want %s", test.image.Status.Phase, test.phase)
			}
			if got := said(conditions, test.condition); got != test.want {
				t.Errorf("%s is %q, want %q", test.condition, got, test.want)
			}
			for _, words := range test.says {
				if got := message(conditions, test.condition); !strings.Contains(got, words) {
					t.Errorf("message %q does not say %q", got, words)
				}
			}
		})
	}
}

// TestAnImporterThatCannotBePulled is told of in DVP's words, where the kind has them, and healed by the next try.
func TestAnImporterThatCannotBePulled(t *testing.T) {
	image := httpImage()
	cluster := &v1alpha2.ClusterVirtualImage{ObjectMeta: metav1.ObjectMeta{Name: "debian", UID: "c1", Generation: 1}}
	cluster.Spec.DataSource = v1alpha2.ClusterVirtualImageDataSource{Type: v1alpha2.DataSourceHTTP, HTTP: &v1alpha2.HTTPSource{URL: httpURL}}
	w := newWorld(t, image, cluster)
	w.runner.Set("u1", failure(intake.ErrImagePull))
	w.runner.Set("c1", failure(intake.ErrImagePull))
	w.run(t, image)
	flowtest.Settle(t, w.client, w.clusters, cluster, 10)
	if image.Status.Phase != v1alpha2.ImagePending || said(image.Status.Conditions, "Ready") != "False ImagePullFailed" {
		t.Errorf("the image is %s, %s", image.Status.Phase, said(image.Status.Conditions, "Ready"))
	}
	if cluster.Status.Phase != v1alpha2.ImageFailed || said(cluster.Status.Conditions, "Ready") != "False ProvisioningFailed" {
		t.Errorf("the cluster image is %s, %s", cluster.Status.Phase, said(cluster.Status.Conditions, "Ready"))
	}
	mentions(t, message(image.Status.Conditions, "Ready"), "the PodTemplate of importers")
	if events := strings.Join(w.recorder.Drain(), "\n"); strings.Count(events, "Warning ImagePullFailed ") != 2 {
		t.Errorf("events %q, want one of each", events)
	}
	w.runner.Set("u1", importer.State{Phase: importer.Running, Progress: importer.Progress{Done: 1, Total: 2}})
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageProvisioning {
		t.Errorf("when it runs, the image is %s: %s", image.Status.Phase, message(image.Status.Conditions, "Ready"))
	}
}

func failure(cause error) importer.State {
	return importer.State{Phase: importer.Failed, Err: fmt.Errorf("get %s: %w", httpURL, cause)}
}

// madeFrom is an image that is made from an object.
func madeFrom(kind v1alpha2.ObjectRefKind, name string) *v1alpha2.VirtualImage {
	return with(func(i *v1alpha2.VirtualImage) {
		i.Spec.DataSource = v1alpha2.VirtualImageDataSource{
			Type: v1alpha2.DataSourceObjectRef, ObjectRef: &v1alpha2.VirtualImageObjectRef{Kind: kind, Name: name},
		}
	})
}

// uploaded is an image that is uploaded; before is its condition of the run before.
func uploaded(before *metav1.Condition) *v1alpha2.VirtualImage {
	return with(func(i *v1alpha2.VirtualImage) {
		i.Spec.DataSource = v1alpha2.VirtualImageDataSource{Type: v1alpha2.DataSourceUpload}
		if before != nil {
			i.Status.Conditions = []metav1.Condition{*before}
		}
	})
}

func with(change func(*v1alpha2.VirtualImage)) *v1alpha2.VirtualImage {
	image := httpImage()
	change(image)
	return image
}

func TestFailedImportIsTriedAgainAndHeals(t *testing.T) {
	image := httpImage()
	w := newWorld(t, image)
	w.runner.Set("u1", failure(importer.ErrRegistry))
	result := w.run(t, image)
	if result.RequeueAfter != 2*time.Second {
		t.Errorf("tried again after %v, want 2s", result.RequeueAfter)
	}
	w.recorder.Drain()

	w.clock.Step(2 * time.Second)
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageFailed {
		t.Errorf("phase is %s; a try that brought nothing yet is no news", image.Status.Phase)
	}
	w.runner.Set("u1", importer.State{Phase: importer.Running, Progress: importer.Progress{Done: 1, Total: 2}})
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageProvisioning {
		t.Errorf("phase is %s once bytes come, want Provisioning", image.Status.Phase)
	}
	w.runner.Set("u1", done())
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageReady {
		t.Errorf("phase is %s, want Ready", image.Status.Phase)
	}
}

func TestChangedSpecStartsAnewAtOnce(t *testing.T) {
	image := httpImage()
	w := newWorld(t, image)
	w.runner.Set("u1", failure(importer.ErrNotFound))
	w.run(t, image)
	w.shelf.Put("vi/team/debian:u1")
	w.runner.Calls()
	w.recorder.Drain()

	image.Spec.DataSource.HTTP.URL = "http://files.test/right.qcow2"
	image.Generation = 2
	w.update(t, image)
	w.run(t, image)

	if diff := cmp.Diff([]string{"forget u1", "start u1"}, w.runner.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if names := w.shelf.Names(); len(names) != 0 {
		t.Errorf("what the earlier spec brought is still in DVCR: %v", names)
	}
	if image.Status.Phase != v1alpha2.ImageProvisioning || image.Status.ObservedGeneration != 2 {
		t.Errorf("phase %s of generation %d, want Provisioning of 2", image.Status.Phase, image.Status.ObservedGeneration)
	}
	if events := w.recorder.Drain(); len(events) == 0 || !strings.Contains(events[0], "VirtualImageSpecHasBeenChanged") {
		t.Errorf("events are %v", events)
	}
}

func TestChangedSpecWaitsForDVCR(t *testing.T) {
	image := httpImage()
	w := newWorld(t, image)
	w.run(t, image)
	image.Generation = 2
	w.update(t, image)
	w.shelf.Break(errors.New("connection refused"))
	if _, err := flowtest.Reconcile(t, w.client, w.images, image); err == nil {
		t.Error("want an error, so that it is tried again")
	}
	if image.Status.ObservedGeneration != 1 {
		t.Error("the new generation counts as observed although what the old one brought is not gone")
	}
}

func TestReadyImageKeepsItsContent(t *testing.T) {
	image := readyImage()
	image.Generation = 2
	w := newWorld(t, image)
	w.shelf.Put("vi/team/debian:u1")
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageReady || len(w.runner.Calls()) != 0 || len(w.shelf.Names()) != 1 {
		t.Errorf("phase %s, artifacts %v: a ready image must not be imported again", image.Status.Phase, w.shelf.Names())
	}
	want := []string{"Warning VirtualImageSpecHasBeenChanged the image keeps the content of its earlier spec; delete and create it to import the new one"}
	if diff := cmp.Diff(want, w.recorder.Drain()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func signedBy(o *v1alpha2.VirtualImage, secret string) *v1alpha2.VirtualImage {
	o.Annotations = map[string]string{intake.SignedByAnnotation: secret}
	return o
}

// TestWhoMustHaveSigned asks for signatures by the controller's option and by annotations of both kinds.
func TestWhoMustHaveSigned(t *testing.T) {
	all := signatures.Trust{"all.pub": []byte("everybody's")}
	own := signatures.Trust{"own.pub": []byte("this image's")}
	keys := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "keys"}, Data: own}
	cluster := &v1alpha2.ClusterVirtualImage{
		ObjectMeta: metav1.ObjectMeta{Name: "debian", UID: "u2", Generation: 1, Annotations: map[string]string{intake.SignedByAnnotation: "team/keys"}},
		Spec: v1alpha2.ClusterVirtualImageSpec{DataSource: v1alpha2.ClusterVirtualImageDataSource{
			Type: v1alpha2.DataSourceContainerImage, ContainerImage: &v1alpha2.ClusterContainerImageSource{Image: "registry.test/disk:v1"},
		}},
	}
	image := signedBy(containerImage(""), "keys")
	if got := secretOfImage(image); !cmp.Equal(got, []string{"team/keys"}) {
		t.Errorf("the image waits for Secrets %v", got)
	}
	w := newWorld(t, keys, image, cluster)
	w.signedBy = []signatures.Trust{all}
	w.restart()
	w.run(t, image)
	flowtest.Settle(t, w.client, w.clusters, cluster, 10)
	for _, id := range []string{"u1", "u2"} {
		job, _ := w.runner.Job(id)
		if job.Source.Registry == nil {
			t.Fatalf("%s: no import was started", id)
		}
		if diff := cmp.Diff([]signatures.Trust{all, own}, job.Source.Registry.SignedBy); diff != "" {
			t.Errorf("%s must be signed by (-want +got):\n%s", id, diff)
		}
	}
}

func TestPullSecretThatComesLater(t *testing.T) {
	image := containerImage("pull")
	w := newWorld(t, image)
	w.run(t, image)
	if got := message(image.Status.Conditions, "Ready"); !strings.Contains(got, "team/pull") {
		t.Errorf("Ready says %q, want it to name the Secret", got)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "pull"},
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: []byte(`{"auths":{}}`)},
	}
	if err := w.client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageProvisioning {
		t.Errorf("phase is %s, want Provisioning", image.Status.Phase)
	}
}

func TestLostImageHeals(t *testing.T) {
	image := readyImage()
	w := newWorld(t, image)
	w.shelf.Put("vi/team/debian:u1")
	w.run(t, image)

	if err := w.shelf.Remove(t.Context(), "vi/team/debian:u1"); err != nil {
		t.Fatal(err)
	}
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageReady {
		t.Errorf("phase is %s before it was looked for, want Ready", image.Status.Phase)
	}
	w.clock.Step(defaultCheckEvery)
	result := w.run(t, image)
	if got := said(image.Status.Conditions, "Ready"); image.Status.Phase != v1alpha2.ImageLost || got != "False ImageLost" {
		t.Errorf("phase %s, Ready %q, want ImageLost", image.Status.Phase, got)
	}
	if result.RequeueAfter != defaultCheckEvery/10 {
		t.Errorf("a lost image is looked for after %v, want %v", result.RequeueAfter, defaultCheckEvery/10)
	}

	w.restart()
	w.shelf.Put("vi/team/debian:u1")
	w.run(t, image)
	if got := said(image.Status.Conditions, "Ready"); image.Status.Phase != v1alpha2.ImageReady || got != "True Ready" {
		t.Errorf("phase %s, Ready %q, want Ready again", image.Status.Phase, got)
	}
	want := []string{
		"Warning ImageLost vi/team/debian:u1 is gone from DVCR",
		"Normal VirtualImageLostRecovered vi/team/debian:u1 is back in DVCR",
	}
	if diff := cmp.Diff(want, w.recorder.Drain()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestDVCRAwayLosesNoImage(t *testing.T) {
	image := readyImage()
	w := newWorld(t, image)
	w.shelf.Break(errors.New("connection refused"))
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageReady {
		t.Errorf("phase is %s, want Ready: nothing is known of the image", image.Status.Phase)
	}
}

func TestUnchangedImageIsLookedForSeldom(t *testing.T) {
	image := readyImage()
	w := newWorld(t, image)
	w.shelf.Put("vi/team/debian:u1")
	w.run(t, image)
	looks, version := w.shelf.Looks(), image.ResourceVersion
	for range 5 {
		w.run(t, image)
	}
	if w.shelf.Looks() != looks || image.ResourceVersion != version || len(w.runner.Calls()) != 0 {
		t.Errorf("reconciling a ready image that did not change asked DVCR %d times and wrote %t", w.shelf.Looks()-looks, image.ResourceVersion != version)
	}
}

func TestRestartFindsTheFinishedImport(t *testing.T) {
	image := httpImage()
	w := newWorld(t, image)
	w.run(t, image)
	w.restart()
	w.runner.Set("u1", done())
	w.run(t, image)
	if image.Status.Phase != v1alpha2.ImageReady {
		t.Errorf("phase is %s, want Ready", image.Status.Phase)
	}
}

func TestDeletionWaitsForUsers(t *testing.T) {
	tests := map[string]struct {
		user users
		held bool
	}{
		"running machine":                        {users{machines: []types.NamespacedName{{Name: string(v1alpha2.MachineRunning)}}}, true},
		"stopped machine":                        {users{machines: []types.NamespacedName{{Name: string(v1alpha2.MachineStopped)}}}, false},
		"pending machine":                        {users{machines: []types.NamespacedName{{Name: string(v1alpha2.MachinePending)}}}, false},
		"disk being made":                        {users{disks: []types.NamespacedName{{Name: string(v1alpha2.DiskProvisioning)}}}, true},
		"disk that waits for its first consumer": {users{disks: []types.NamespacedName{{Name: string(v1alpha2.DiskWaitForFirstConsumer)}}}, true},
		"disk made":                              {users{disks: []types.NamespacedName{{Name: string(v1alpha2.DiskReady)}}}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			image := readyImage()
			w := newWorld(t, image)
			w.shelf.Put("vi/team/debian:u1")
			for _, m := range test.user.machines {
				w.create(t, machineWith("user", v1alpha2.MachinePhase(m.Name), v1alpha2.ImageDevice))
			}
			for _, d := range test.user.disks {
				w.create(t, diskFrom("user", v1alpha2.DiskPhase(d.Name)))
			}
			w.run(t, image)
			if err := w.client.Delete(t.Context(), image); err != nil {
				t.Fatal(err)
			}
			for range 4 {
				if _, err := flowtest.Reconcile(t, w.client, w.images, image); err != nil {
					t.Fatal(err)
				}
			}
			if held := len(w.shelf.Names()) == 1; held != test.held {
				t.Errorf("the artifact is held: %t, want %t", held, test.held)
			}
			if test.held && (image.Status.Phase != v1alpha2.ImageTerminating || !strings.Contains(message(image.Status.Conditions, "Terminating"), "team/user")) {
				t.Errorf("phase %s, Terminating says %q", image.Status.Phase, message(image.Status.Conditions, "Terminating"))
			}
		})
	}
}

func TestDeletionOfAnImageInMidImport(t *testing.T) {
	image := httpImage()
	w := newWorld(t, image)
	w.run(t, image)
	w.runner.Calls()
	if err := w.client.Delete(t.Context(), image); err != nil {
		t.Fatal(err)
	}
	if _, err := flowtest.Reconcile(t, w.client, w.images, image); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"forget u1"}, w.runner.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if err := w.client.Get(t.Context(), types.NamespacedName{Namespace: "team", Name: "debian"}, image); err == nil {
		t.Errorf("the image is still there with finalizers %v", image.Finalizers)
	}
}
