package disk_test

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
	enginecrd "slipway.dev/slipway/local/node/crd"
	"slipway.dev/slipway/reconcilers/disk"
	"slipway.dev/slipway/reconcilers/image"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/test/kubetest"
)

// TestStory follows a disk from a file on a web server to its end, with a real
// API server, importer and registry. The test plays CDI and the volume driver.
func TestStory(t *testing.T) {
	s := newStory(t)
	files := s.serveFiles(t)
	vi := &v1alpha2.VirtualImage{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "debian"},
		Spec: v1alpha2.VirtualImageSpec{
			Storage:    v1alpha2.StorageContainerRegistry,
			DataSource: v1alpha2.VirtualImageDataSource{Type: v1alpha2.DataSourceHTTP, HTTP: &v1alpha2.HTTPSource{URL: files + "/debian.raw"}},
		},
	}
	vd := &v1alpha2.VirtualDisk{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "root"},
		Spec: v1alpha2.VirtualDiskSpec{
			DataSource: &v1alpha2.VirtualDiskDataSource{
				Type:      v1alpha2.DataSourceObjectRef,
				ObjectRef: &v1alpha2.VirtualDiskObjectRef{Kind: v1alpha2.ObjectRefVirtualImage, Name: "debian"},
			},
			PersistentVolumeClaim: v1alpha2.VirtualDiskPersistentVolumeClaim{Size: ptr.To(resource.MustParse("4Mi"))},
		},
	}
	s.create(t, vd)
	kubetest.Await(t, s.client, vd, func() bool { return vd.Status.Phase == v1alpha2.DiskPending })
	s.create(t, vi)
	kubetest.Await(t, s.client, vi, func() bool { return vi.Status.Phase == v1alpha2.ImageReady })
	if vi.Status.Size.UnpackedBytes != "8388608" || !strings.HasPrefix(vi.Status.Target.RegistryURL, s.shelf.Address()+"/vi/") {
		t.Errorf("the image's status is %+v", vi.Status)
	}

	kubetest.Await(t, s.client, vd, func() bool { return vd.Status.Phase == v1alpha2.DiskFailed })
	vd.Spec.PersistentVolumeClaim.Size = ptr.To(resource.MustParse("16Mi"))
	s.update(t, vd)
	kubetest.Await(t, s.client, vd, func() bool { return vd.Status.Phase == v1alpha2.DiskProvisioning })

	claim := s.playCDI(t, vd, vi)
	kubetest.Await(t, s.client, vd, func() bool { return vd.Status.Phase == v1alpha2.DiskReady })
	kubetest.Await(t, s.client, vi, func() bool { return len(vi.Finalizers) == 1 })

	s.waitForConsumer(t, vi)
	s.loseDataVolume(t, claim)
	s.grow(t, vd, claim)
	s.deleteAll(t, vd, vi, claim)
}

type story struct {
	client    client.WithWatch
	shelf     intake.Shelf
	namespace string
}

func newStory(t *testing.T) *story {
	t.Helper()
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	config := kubetest.StartFS(t, crd.Files, enginecrd.Files)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha2.AddToScheme, cdiv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	dvcr, err := registry.NewServer(registry.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	if err := dvcr.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dvcr.Close(context.Background()) })
	s := &story{client: c, shelf: intake.NewShelf(dvcr.Client()), namespace: kubetest.Namespace(t, c)}
	s.startControllers(t, config, scheme, dvcr)
	s.create(t, &storagev1.StorageClass{
		ObjectMeta:           metav1.ObjectMeta{Name: "story", Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"}},
		Provisioner:          "test",
		AllowVolumeExpansion: ptr.To(true),
	})
	return s
}

func (s *story) startControllers(t *testing.T, config *rest.Config, scheme *runtime.Scheme, dvcr *registry.Server) {
	t.Helper()
	runner := importer.NewRunner(dvcr.Client(), importer.Options{Dir: t.TempDir(), Egress: egress.Policy{Allow: egress.Loopback}})
	t.Cleanup(runner.Close)
	mgr, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme, Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	desk := intake.NewDesk(runner, clock.RealClock{})
	setUp := []func() error{
		func() error { return mgr.Add(desk) },
		func() error {
			return image.SetupWithManager(mgr, image.Deps{Desk: desk, Shelf: s.shelf, Clock: clock.RealClock{}})
		},
		func() error {
			login := func(namespace string) intake.Login { return intake.Login(dvcr.Key().ReaderOf(namespace)) }
			return disk.SetupWithManager(mgr, disk.Deps{Desk: desk, Shelf: s.shelf, Clock: clock.RealClock{}, Login: login})
		},
	}
	for _, do := range setUp {
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended with %v", err)
		}
	})
}

// serveFiles serves a raw image of 8 MiB with a partition table and some content.
func (s *story) serveFiles(t *testing.T) string {
	t.Helper()
	content := make([]byte, 8<<20)
	seed := rand.New(rand.NewPCG(1, 2))
	for i := range 1 << 20 {
		content[i] = byte(seed.Uint32())
	}
	clear(content[:512])
	copy(content[446:], []byte{0x80, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0xff, 0x3f, 0, 0})
	content[510], content[511] = 0x55, 0xaa
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "debian.raw", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(files.Close)
	return files.URL
}

// playCDI fills the disk's volume as CDI does, and checks what CDI is told.
func (s *story) playCDI(t *testing.T, vd *v1alpha2.VirtualDisk, vi *v1alpha2.VirtualImage) *corev1.PersistentVolumeClaim {
	t.Helper()
	name := client.ObjectKey{Namespace: s.namespace, Name: vd.Status.Target.PersistentVolumeClaimName}
	var volume cdiv1.DataVolume
	if err := s.client.Get(t.Context(), name, &volume); err != nil {
		t.Fatal(err)
	}
	if got, want := *volume.Spec.Source.Registry.URL, "docker://"+vi.Status.Target.RegistryURL; got != want {
		t.Errorf("CDI is told to take %s, want %s", got, want)
	}
	var login corev1.Secret
	if err := s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: *volume.Spec.Source.Registry.SecretRef}, &login); err != nil {
		t.Errorf("CDI finds no credentials: %v", err)
	}
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: name.Namespace, Name: name.Name,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(&volume, cdiv1.SchemeGroupVersion.WithKind("DataVolume"))},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			StorageClassName: volume.Spec.Storage.StorageClassName,
			Resources:        corev1.VolumeResourceRequirements{Requests: volume.Spec.Storage.Resources.Requests},
		},
	}
	s.create(t, claim)
	claim.Status = corev1.PersistentVolumeClaimStatus{Phase: corev1.ClaimBound, Capacity: volume.Spec.Storage.Resources.Requests}
	s.updateStatus(t, claim)
	volume.Status = cdiv1.DataVolumeStatus{Phase: cdiv1.Succeeded, Progress: "100.0%"}
	s.updateStatus(t, &volume)
	return claim
}

// waitForConsumer makes a disk whose volume no machine wants yet: the image is protected while it waits, and no longer.
func (s *story) waitForConsumer(t *testing.T, vi *v1alpha2.VirtualImage) {
	t.Helper()
	late := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{Name: "story-late"}, Provisioner: "test", VolumeBindingMode: ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
	}
	s.create(t, late)
	vd := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "late"}, Spec: v1alpha2.VirtualDiskSpec{
		DataSource: &v1alpha2.VirtualDiskDataSource{
			Type:      v1alpha2.DataSourceObjectRef,
			ObjectRef: &v1alpha2.VirtualDiskObjectRef{Kind: v1alpha2.ObjectRefVirtualImage, Name: vi.Name},
		},
		PersistentVolumeClaim: v1alpha2.VirtualDiskPersistentVolumeClaim{StorageClassName: &late.Name},
	}}
	s.create(t, vd)
	kubetest.Await(t, s.client, vd, func() bool { return vd.Status.Phase == v1alpha2.DiskWaitForFirstConsumer })
	kubetest.Await(t, s.client, vi, func() bool { return slices.Contains(vi.Finalizers, finalizers.VirtualImageProtection) })
	if err := s.client.Delete(t.Context(), vd); err != nil {
		t.Fatal(err)
	}
	kubetest.Await(t, s.client, vd, nil)
	kubetest.Await(t, s.client, vi, func() bool { return len(vi.Finalizers) == 1 })
}

// loseDataVolume deletes the DataVolume, which owns the claim, and has the
// cluster's garbage collector decide what else goes.
func (s *story) loseDataVolume(t *testing.T, claim *corev1.PersistentVolumeClaim) {
	t.Helper()
	volume := &cdiv1.DataVolume{ObjectMeta: metav1.ObjectMeta{Namespace: claim.Namespace, Name: claim.Name}}
	if err := s.client.Delete(t.Context(), volume); err != nil {
		t.Fatal(err)
	}
	kubetest.Await(t, s.client, claim, func() bool { return len(claim.OwnerReferences) == 1 })
	if claim.OwnerReferences[0].Kind != v1alpha2.VirtualDiskKind || !claim.DeletionTimestamp.IsZero() {
		t.Errorf("the claim's owners are %+v, deleted %v; want it to stay with its disk", claim.OwnerReferences, claim.DeletionTimestamp)
	}
}

func (s *story) grow(t *testing.T, vd *v1alpha2.VirtualDisk, claim *corev1.PersistentVolumeClaim) {
	t.Helper()
	more := resource.MustParse("32Mi")
	s.refresh(t, vd)
	vd.Spec.PersistentVolumeClaim.Size = &more
	s.update(t, vd)
	kubetest.Await(t, s.client, vd, func() bool { return vd.Status.Phase == v1alpha2.DiskResizing })
	kubetest.Await(t, s.client, claim, func() bool { return claim.Spec.Resources.Requests.Storage().Equal(more) })
	claim.Status.Capacity[corev1.ResourceStorage] = more
	s.updateStatus(t, claim)
	kubetest.Await(t, s.client, vd, func() bool { return vd.Status.Phase == v1alpha2.DiskReady && vd.Status.Capacity == "32Mi" })
}

func (s *story) deleteAll(t *testing.T, vd *v1alpha2.VirtualDisk, vi *v1alpha2.VirtualImage, claim *corev1.PersistentVolumeClaim) {
	t.Helper()
	artifact := strings.TrimPrefix(vi.Status.Target.RegistryURL, s.shelf.Address()+"/")
	for _, obj := range []client.Object{vd, vi} {
		if err := s.client.Delete(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		kubetest.Await(t, s.client, obj, nil)
	}
	if there, err := s.shelf.Has(t.Context(), artifact); err != nil || there {
		t.Errorf("the image is in DVCR still: %t, %v", there, err)
	}
	kubetest.Await(t, s.client, claim, nil)
}

func (s *story) create(t *testing.T, obj client.Object) {
	t.Helper()
	if err := s.client.Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}

func (s *story) update(t *testing.T, obj client.Object) {
	t.Helper()
	if err := s.client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}

func (s *story) updateStatus(t *testing.T, obj client.Object) {
	t.Helper()
	if err := s.client.Status().Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}

func (s *story) refresh(t *testing.T, obj client.Object) {
	t.Helper()
	if err := s.client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		t.Fatal(err)
	}
}
