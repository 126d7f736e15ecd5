//go:build e2e

package fast

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"oras.land/oras-go/v2/registry/remote"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	dvcrdisk "slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/reconcilers/disk"
	"slipway.dev/slipway/reconcilers/image"
	"slipway.dev/slipway/reconcilers/image/intake"
)

const (
	storageClass = "fast"
	imageBytes   = 8 << 20
)

// fillDisks has Slipway's controllers make disks whose volumes CDI's webhooks see.
func (p *plane) fillDisks(t *testing.T) {
	dvcr := startDVCR(t)
	c := p.startChain(t, func(manager ctrl.Manager) { addDisks(t, manager, dvcr) })
	must(t, c.client.Create(t.Context(), &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: storageClass}, Provisioner: "nobody"}))
	content := diskImage()
	c.image("debian", serve(t, content))
	volume := c.volume("from-image", &v1alpha2.VirtualDiskDataSource{
		Type: v1alpha2.DataSourceObjectRef, ObjectRef: &v1alpha2.VirtualDiskObjectRef{Kind: v1alpha2.ObjectRefVirtualImage, Name: "debian"},
	})
	if url := volume.Spec.Source.Registry; url == nil || !strings.HasPrefix(*url.URL, "docker://"+dvcr.Addr()+"/vi/"+c.namespace+"/") {
		t.Errorf("CDI is told to take the disk from %+v", volume.Spec.Source)
	}
	imported := p.importDisk(t, volume, c.login(volume), dvcr.Addr())
	if !bytes.Equal(imported[:len(content)], content) || len(bytes.Trim(imported[len(content):], "\x00")) > 0 {
		t.Errorf("CDI's importer wrote %d bytes that differ from the image", len(imported))
	}
	blank := c.volume("blank", nil)
	if blank.Spec.Source.Blank == nil {
		t.Errorf("CDI is told to fill the blank disk from %+v", blank.Spec.Source)
	}
}

func startDVCR(t *testing.T) *registry.Server {
	t.Helper()
	dvcr, err := registry.NewServer(registry.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	must(t, err)
	must(t, dvcr.Start())
	t.Cleanup(func() { _ = dvcr.Close(context.Background()) })
	return dvcr
}

func addDisks(t *testing.T, manager ctrl.Manager, dvcr *registry.Server) {
	t.Helper()
	runner := importer.NewRunner(dvcr.Client(), importer.Options{
		Dir: t.TempDir(), Egress: egress.Policy{Allow: egress.Loopback},
		Faces: func(repository *remote.Repository) dvcrdisk.FaceMaker { return registry.Faces{Repository: repository} },
	})
	t.Cleanup(runner.Close)
	desk, shelf := intake.NewDesk(runner, clock.RealClock{}), intake.NewShelf(dvcr.Client())
	login := func(namespace string) intake.Login { return intake.Login(dvcr.Key().ReaderOf(namespace)) }
	must(t, manager.Add(desk))
	must(t, image.SetupWithManager(manager, image.Deps{Desk: desk, Shelf: shelf, Clock: clock.RealClock{}, Login: login}))
	must(t, disk.SetupWithManager(manager, disk.Deps{Desk: desk, Shelf: shelf, Clock: clock.RealClock{}, Login: login}))
}

// image brings a disk image into DVCR.
func (c *chain) image(name, url string) {
	c.Helper()
	vi := &v1alpha2.VirtualImage{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name},
		Spec: v1alpha2.VirtualImageSpec{
			Storage:    v1alpha2.StorageContainerRegistry,
			DataSource: v1alpha2.VirtualImageDataSource{Type: v1alpha2.DataSourceHTTP, HTTP: &v1alpha2.HTTPSource{URL: url}},
		},
	}
	must(c.T, c.client.Create(c.Context(), vi))
	until(c.T, "the image is in DVCR", func(ctx context.Context) error {
		if err := c.client.Get(ctx, client.ObjectKeyFromObject(vi), vi); err != nil {
			return err
		}
		if vi.Status.Phase != v1alpha2.ImageReady {
			return fmt.Errorf("phase %q, conditions %+v", vi.Status.Phase, vi.Status.Conditions)
		}
		return nil
	})
}

// volume makes a disk, and waits for the DataVolume that CDI's webhooks let in.
func (c *chain) volume(name string, source *v1alpha2.VirtualDiskDataSource) *cdiv1.DataVolume {
	c.Helper()
	size, class := resource.MustParse("16Mi"), storageClass
	vd := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name}}
	vd.Spec.DataSource = source
	vd.Spec.PersistentVolumeClaim = v1alpha2.VirtualDiskPersistentVolumeClaim{Size: &size, StorageClassName: &class}
	must(c.T, c.client.Create(c.Context(), vd))
	volume := &cdiv1.DataVolume{}
	until(c.T, "the disk has a DataVolume", func(ctx context.Context) error {
		if err := c.client.Get(ctx, client.ObjectKeyFromObject(vd), vd); err != nil {
			return err
		}
		if vd.Status.Target.PersistentVolumeClaimName == "" {
			return fmt.Errorf("phase %q, conditions %+v", vd.Status.Phase, vd.Status.Conditions)
		}
		return c.client.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: vd.Status.Target.PersistentVolumeClaimName}, volume)
	})
	return volume
}

// login reads the credentials with which CDI pulls.
func (c *chain) login(volume *cdiv1.DataVolume) *corev1.Secret {
	c.Helper()
	secret := &corev1.Secret{}
	must(c.T, c.client.Get(c.Context(), client.ObjectKey{Namespace: c.namespace, Name: *volume.Spec.Source.Registry.SecretRef}, secret))
	return secret
}

// diskImage is a raw disk with a partition table and some content.
func diskImage() []byte {
	content := make([]byte, imageBytes)
	seed := rand.New(rand.NewPCG(1, 2))
	for i := range imageBytes / 8 {
		content[i] = byte(seed.Uint32())
	}
	clear(content[:512])
	copy(content[446:], []byte{0x80, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 0xff, 0x3f, 0, 0})
	content[510], content[511] = 0x55, 0xaa
	return content
}

func serve(t *testing.T, content []byte) string {
	t.Helper()
	files := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "debian.raw", time.Time{}, bytes.NewReader(content))
	}))
	t.Cleanup(files.Close)
	return files.URL + "/debian.raw"
}
