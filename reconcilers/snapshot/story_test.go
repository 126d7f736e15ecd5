package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha2/finalizers"
	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/local/node"
	enginecrd "slipway.dev/slipway/local/node/crd"
	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/setup"
	"slipway.dev/slipway/test/kubetest"
)

// TestStory follows the bytes of a disk through a snapshot and images of it to other disks, with a real API server, importer,
// registry and volumes. The snapshot is deleted while an image is made from it, and stays until that image is ready.
func TestStory(t *testing.T) {
	s := newStory(t)
	image := s.serveImage(t)
	root := s.disk("root", v1alpha2.VirtualDiskDataSource{Type: v1alpha2.DataSourceHTTP, HTTP: &v1alpha2.HTTPSource{URL: image}}, "8Mi")
	root.Annotations = map[string]string{annotations.VirtualDiskBindingMode: string(storagev1.VolumeBindingImmediate)}
	root.Spec.PersistentVolumeClaim.StorageClassName = ptr.To("local-wait") // and so are the claims that it is restored to
	kubetest.Await(t, s.client, s.created(t, root), diskReady(root))
	s.write(t, root, 'b')
	want := s.read(t, root)
	snapshot := &v1alpha2.VirtualDiskSnapshot{ObjectMeta: s.named("nightly"), Spec: v1alpha2.VirtualDiskSnapshotSpec{VirtualDiskName: "root"}}
	kubetest.Await(t, s.client, s.created(t, snapshot), func() bool { return snapshot.Status.Phase == v1alpha2.SnapshotReady })
	s.write(t, root, 'a')

	onVolume := s.image("volume", v1alpha2.StoragePersistentVolumeClaim)
	kubetest.Await(t, s.client, s.created(t, onVolume), imageReady(onVolume))
	s.holds(t, "of-volume", onVolume, want)

	s.lender.hold()
	given := &v1alpha2.ClusterVirtualImage{ObjectMeta: metav1.ObjectMeta{Name: "given-up"}}
	given.Spec.DataSource = v1alpha2.ClusterVirtualImageDataSource{
		Type:      v1alpha2.DataSourceObjectRef,
		ObjectRef: &v1alpha2.ClusterVirtualImageObjectRef{Kind: v1alpha2.ObjectRefVirtualDiskSnapshot, Namespace: s.namespace, Name: "nightly"},
	}
	s.create(t, given)
	kubetest.Await(t, s.client, snapshot, func() bool { return protected(snapshot) })
	s.remove(t, given)
	kubetest.Await(t, s.client, given, nil)
	kubetest.Await(t, s.client, snapshot, func() bool { return !protected(snapshot) })

	golden := s.image("golden", v1alpha2.StorageContainerRegistry)
	s.create(t, golden)
	kubetest.Await(t, s.client, snapshot, func() bool { return protected(snapshot) })
	s.remove(t, snapshot)
	kubetest.Await(t, s.client, snapshot, func() bool { return waitsFor(snapshot, "golden") })
	s.lender.letGo()
	kubetest.Await(t, s.client, golden, imageReady(golden))
	kubetest.Await(t, s.client, snapshot, nil)
	kubetest.Await(t, s.client, &snapshotv1.VolumeSnapshot{ObjectMeta: s.named("nightly")}, nil)
	s.holds(t, "of-golden", golden, want)
	if now := s.read(t, root); bytes.Equal(now, want) {
		t.Error("the disk itself holds what the snapshot does, the test tells nothing")
	}
	s.nothingRestored(t)
	if failures := s.lender.failures(); len(failures) > 0 {
		t.Errorf("reading failed before the volumes were there: %v", failures)
	}
}

func protected(o client.Object) bool {
	return slices.Contains(o.GetFinalizers(), finalizers.VirtualDiskSnapshotProtection)
}

func waitsFor(o *v1alpha2.VirtualDiskSnapshot, who string) bool {
	c := meta.FindStatusCondition(o.Status.Conditions, "Terminating")
	return c != nil && strings.Contains(c.Message, who)
}

func diskReady(vd *v1alpha2.VirtualDisk) func() bool {
	return func() bool { return vd.Status.Phase == v1alpha2.DiskReady }
}

func imageReady(vi *v1alpha2.VirtualImage) func() bool {
	return func() bool { return vi.Status.Phase == v1alpha2.ImageReady }
}

type story struct {
	client    client.WithWatch
	namespace string
	node      *node.Node
	lender    *lender
}

func newStory(t *testing.T) *story {
	t.Helper()
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	config := kubetest.StartFS(t, crd.Files, enginecrd.Files)
	scheme, err := setup.Scheme()
	must(t, err)
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	must(t, err)
	dvcr, err := registry.NewServer(registry.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	must(t, err)
	must(t, dvcr.Start())
	t.Cleanup(func() { _ = dvcr.Close(context.Background()) })
	reader := dvcr.Reader()
	n, err := node.New(t.Context(), node.Options{
		Dir: t.TempDir(), Name: "here", Credentials: instance.Credentials{Host: dvcr.Addr(), Username: reader.Username, Password: reader.Password},
	})
	must(t, err)
	s := &story{client: c, namespace: kubetest.Namespace(t, c), node: n, lender: newLender(c, n)}
	mgr, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme, Metrics: server.Options{BindAddress: "0"}})
	must(t, err)
	must(t, n.SetupWithManager(mgr))
	runner := importer.NewRunner(dvcr.Client(), importer.Options{Dir: t.TempDir(), Egress: egress.Policy{Allow: egress.Loopback}, Volumes: s.lender})
	t.Cleanup(runner.Close)
	must(t, setup.Controllers(mgr, setup.Options{
		Stages: []setup.Stage{setup.Virtualization}, Imports: runner, Repositories: dvcr.Client(), RegistryAddress: dvcr.Addr(),
		Login: func(namespace string) intake.Login { return intake.Login(dvcr.Key().ReaderOf(namespace)) }, Freezer: n,
	}))
	s.run(t, mgr)
	return s
}

// run runs the controllers until the test ends.
func (s *story) run(t *testing.T, mgr ctrl.Manager) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		s.lender.letGo()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended with %v", err)
		}
		must(t, s.node.Shutdown(context.Background()))
	})
}

// lender lends volumes of the node, or lets who asks wait.
type lender struct {
	client client.Client
	node   *node.Node

	mu     sync.Mutex
	open   chan struct{} // closed while volumes are lent
	failed []error
}

func newLender(c client.Client, n *node.Node) *lender {
	l := &lender{client: c, node: n, open: make(chan struct{})}
	close(l.open)
	return l
}

func (l *lender) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = make(chan struct{})
}

func (l *lender) letGo() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}

// failures are the volumes that were asked for and could not be lent.
func (l *lender) failures() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

// Open implements importer.Volumes.
func (l *lender) Open(ctx context.Context, namespace, claim string) (importer.Volume, error) {
	l.mu.Lock()
	open := l.open
	l.mu.Unlock()
	select {
	case <-ctx.Done():
		return importer.Volume{}, fmt.Errorf("lend %s: %w", claim, ctx.Err())
	case <-open:
	}
	var pvc corev1.PersistentVolumeClaim
	if err := l.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: claim}, &pvc); err != nil {
		return importer.Volume{}, fmt.Errorf("%w: %w", importer.ErrUnreachable, err)
	}
	file, release, err := l.node.Lend(string(pvc.UID))
	if err != nil {
		l.mu.Lock()
		l.failed = append(l.failed, fmt.Errorf("claim %s: %w", claim, err))
		l.mu.Unlock()
		return importer.Volume{}, fmt.Errorf("%w: %w", importer.ErrUnreachable, err)
	}
	return importer.Volume{Path: file, Format: "qcow2", Release: release}, nil
}

// serveImage serves a raw image of 4 MiB with a partition table and some content.
func (s *story) serveImage(t *testing.T) string {
	t.Helper()
	content := make([]byte, 4<<20)
	seed := rand.New(rand.NewPCG(1, 2))
	for i := range 1 << 20 {
		content[i] = byte(seed.Uint32())
	}
	clear(content[:512])
	copy(content[446:], []byte{0x80, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0xff, 0x1f, 0, 0})
	content[510], content[511] = 0x55, 0xaa
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "debian.raw", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(files.Close)
	return files.URL + "/debian.raw"
}

func (s *story) named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.namespace, Name: name}
}

// disk is one of a size, or of its content's where that is empty.
func (s *story) disk(name string, from v1alpha2.VirtualDiskDataSource, size string) *v1alpha2.VirtualDisk {
	vd := &v1alpha2.VirtualDisk{ObjectMeta: s.named(name), Spec: v1alpha2.VirtualDiskSpec{DataSource: &from}}
	if size != "" {
		quantity := resource.MustParse(size)
		vd.Spec.PersistentVolumeClaim.Size = &quantity
	}
	return vd
}

// image is one of the snapshot.
func (s *story) image(name string, storage v1alpha2.StorageType) *v1alpha2.VirtualImage {
	return &v1alpha2.VirtualImage{ObjectMeta: s.named(name), Spec: v1alpha2.VirtualImageSpec{
		Storage: storage,
		DataSource: v1alpha2.VirtualImageDataSource{
			Type:      v1alpha2.DataSourceObjectRef,
			ObjectRef: &v1alpha2.VirtualImageObjectRef{Kind: v1alpha2.ObjectRefVirtualDiskSnapshot, Name: "nightly"},
		},
	}}
}

// holds makes a disk of an image and compares it.
func (s *story) holds(t *testing.T, name string, image *v1alpha2.VirtualImage, want []byte) {
	t.Helper()
	vd := s.disk(name, v1alpha2.VirtualDiskDataSource{
		Type: v1alpha2.DataSourceObjectRef, ObjectRef: &v1alpha2.VirtualDiskObjectRef{Kind: v1alpha2.ObjectRefVirtualImage, Name: image.Name},
	}, "")
	kubetest.Await(t, s.client, s.created(t, vd), diskReady(vd))
	if got := s.read(t, vd); !bytes.Equal(got, want) {
		t.Errorf("disk %s has %d bytes that are not the snapshot's %d", name, len(got), len(want))
	}
}

// lend gives the file of a disk's volume.
func (s *story) lend(t *testing.T, vd *v1alpha2.VirtualDisk) (string, func()) {
	t.Helper()
	var claim corev1.PersistentVolumeClaim
	must(t, s.client.Get(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: vd.Status.Target.PersistentVolumeClaimName}, &claim))
	file, release, err := s.node.Lend(string(claim.UID))
	must(t, err)
	return file, release
}

// write fills a part of the disk below the end of its image, and one beyond, with a byte.
func (s *story) write(t *testing.T, vd *v1alpha2.VirtualDisk, pattern byte) {
	t.Helper()
	file, release := s.lend(t, vd)
	defer release()
	run(t, "qemu-io", "-f", "qcow2", "-c", fmt.Sprintf("write -P %d 512k 1M", pattern), "-c", fmt.Sprintf("write -P %d 6M 64k", pattern), file)
}

// read is the whole content of the disk.
func (s *story) read(t *testing.T, vd *v1alpha2.VirtualDisk) []byte {
	t.Helper()
	file, release := s.lend(t, vd)
	defer release()
	raw := filepath.Join(t.TempDir(), "raw")
	run(t, "qemu-img", "convert", "-f", "qcow2", "-O", "raw", file, raw)
	content, err := os.ReadFile(raw)
	must(t, err)
	return content
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

// nothingRestored waits until the claims are gone that the snapshot was restored to.
func (s *story) nothingRestored(t *testing.T) {
	t.Helper()
	var claims corev1.PersistentVolumeClaimList
	must(t, s.client.List(t.Context(), &claims, client.InNamespace(s.namespace)))
	for i := range claims.Items {
		if strings.HasPrefix(claims.Items[i].Name, "d8v-vi-snapshot-") {
			kubetest.Await(t, s.client, &claims.Items[i], nil)
		}
	}
}

func (s *story) create(t *testing.T, obj client.Object) {
	t.Helper()
	must(t, s.client.Create(t.Context(), obj))
}

func (s *story) created(t *testing.T, obj client.Object) client.Object {
	t.Helper()
	s.create(t, obj)
	return obj
}

func (s *story) remove(t *testing.T, obj client.Object) {
	t.Helper()
	must(t, s.client.Delete(t.Context(), obj))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
