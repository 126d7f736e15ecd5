package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"oras.land/oras-go/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/reconcilers/admission"
	"slipway.dev/slipway/reconcilers/keyring"
	"slipway.dev/slipway/test/program"
)

// TestImports: images come in by pods and by upload, each with a login that can do no more than it must, whatever is killed
// meanwhile; and what no object needs is collected. The kubelet is the test, the rest is real.
func TestImports(t *testing.T) {
	w := newWorld(t)
	w.o.certDir = filepath.Join(t.TempDir(), "mounted")
	w.o.garbageSchedule = "@every 1s"
	binary := program.Build(w, "slipway-controller")
	kill := w.execute(binary)
	w.playKubelet()
	dvcr := w.startDVCR()
	w.eventually("ready", func(ctx context.Context) error { return get(ctx, "http://"+w.o.probes+"/readyz") })
	mutating, validating := admission.Configurations(admission.Endpoint{}) // no Service leads to them here
	must(t, w.client.Delete(t.Context(), mutating))
	must(t, w.client.Delete(t.Context(), validating))
	must(t, w.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "store"}}))

	raw := make([]byte, 1<<20)
	raw[510], raw[511] = 0x55, 0xaa
	web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(raw) }))
	t.Cleanup(web.Close)
	image := w.image("sample", v1alpha2.VirtualImageDataSource{Type: "HTTP", HTTP: &v1alpha2.HTTPSource{URL: web.URL + "/disk.raw"}})
	pod := w.importerPod()
	kill()
	w.execute(binary)
	w.runImporter(dvcr, pod, "vi/store/sample")
	w.imageReady(image)
	w.eventually("the importer pod gone", func(ctx context.Context) error {
		if err := w.client.Get(ctx, client.ObjectKeyFromObject(pod), &corev1.Secret{}); !apierrors.IsNotFound(err) {
			return errors.Join(errors.New("its order is there"), err)
		}
		if err := w.client.Get(ctx, client.ObjectKeyFromObject(pod), &corev1.Pod{}); !apierrors.IsNotFound(err) {
			return errors.Join(errors.New("the pod is there"), err)
		}
		return nil
	})

	w.storageClasses()
	w.upload(raw)
	w.tenantLogsInAsReader(dvcr)
	w.collected(dvcr)
}

// storageClasses asks for a class that the flags of execute allow to neither disks nor images.
func (w world) storageClasses() {
	w.Helper()
	const other = "other"
	disk := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: other}}
	disk.Spec.PersistentVolumeClaim = v1alpha2.VirtualDiskPersistentVolumeClaim{StorageClassName: ptr.To(other), Size: ptr.To(resource.MustParse("1Gi"))}
	image := &v1alpha2.VirtualImage{ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: other}}
	image.Spec.Storage, image.Spec.PersistentVolumeClaim.StorageClassName = v1alpha2.StoragePersistentVolumeClaim, ptr.To(other)
	image.Spec.DataSource = v1alpha2.VirtualImageDataSource{Type: "HTTP", HTTP: &v1alpha2.HTTPSource{URL: "http://127.0.0.1:1/disk.raw"}}
	for _, o := range []struct {
		client.Object
		conditions *[]metav1.Condition
		allowed    string
	}{{disk, &disk.Status.Conditions, ": disks, fast"}, {image, &image.Status.Conditions, ": images, more-images"}} {
		must(w.T, w.client.Create(w.Context(), o.Object))
		w.eventually("the class refused", func(ctx context.Context) error {
			err := w.client.Get(ctx, client.ObjectKeyFromObject(o.Object), o.Object)
			c := meta.FindStatusCondition(*o.conditions, "StorageClassReady")
			if c == nil || c.Reason != "StorageClassNotReady" || !strings.HasSuffix(c.Message, o.allowed) {
				return errors.Join(err, fmt.Errorf("StorageClassReady is %+v", c))
			}
			return err
		})
		must(w.T, w.client.Delete(w.Context(), o.Object))
	}
}

// execute runs the controllers in a process of their own until the test ends or they are killed.
func (w world) execute(binary string) (kill func()) {
	w.Helper()
	o := w.o
	cmd := exec.Command(
		binary, "--kubeconfig", o.kubeconfig, "--data-dir", o.dataDir, "--metrics-bind-address", "0", "--health-probe-bind-address", o.probes,
		"--webhook-port", fmt.Sprint(o.webhookPort), "--webhook-cert-dir", o.certDir, "--registry", o.registryAddress, "--registry-keys",
		"--importer-template", o.importerTemplate, "--registry-gc-schedule", o.garbageSchedule, "--allow-network", o.allowNetworks[0],
		"--upload-bind-address", o.uploadBind, "--upload-advertise-address", o.uploadAdvertise,
		"--virtual-disk-default-storage-class", "disks", "--virtual-disk-allowed-storage-classes", "fast",
		"--virtual-image-default-storage-class", "images", "--virtual-image-allowed-storage-classes", "more-images",
	)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	must(w.T, cmd.Start())
	killed := make(chan struct{})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		err := cmd.Wait()
		select {
		case <-killed:
			if w.Failed() {
				w.Logf("the controllers said at last:\n%s", log.String()[max(0, log.Len()-4000):])
			}
		default:
			w.ended <- fmt.Errorf("%w\n%s", err, log.String()[max(0, log.Len()-4000):])
		}
	}()
	kill = sync.OnceFunc(func() {
		close(killed)
		_ = cmd.Process.Kill()
		<-gone
	})
	w.Cleanup(kill)
	return kill
}

// dvcr is a registry under the Secrets that the controllers made.
type dvcr struct {
	*registry.Server
	clock *testclock.FakePassiveClock
}

// startDVCR plays the kubelet that mounts the Secrets and starts slipway-dvcr.
func (w world) startDVCR() dvcr {
	w.Helper()
	key, certificate := w.secret(keyring.KeySecret), w.secret(keyring.CertificateSecret)
	pair, err := tls.X509KeyPair(certificate["tls.crt"], certificate["tls.key"])
	must(w.T, err)
	d := dvcr{clock: testclock.NewFakePassiveClock(time.Now())}
	d.Server, err = registry.NewServer(registry.Config{
		Dir: w.TempDir(), Addr: w.o.registryAddress, Key: key["key"], Tokens: true, Clock: d.clock,
		TLS: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	})
	must(w.T, err)
	must(w.T, d.Start())
	w.Cleanup(func() { must(w.T, d.Close(context.Background())) })
	return d
}

func (w world) secret(name string) map[string][]byte {
	w.Helper()
	secret := &corev1.Secret{}
	w.eventually("Secret "+name, func(ctx context.Context) error {
		return w.client.Get(ctx, client.ObjectKey{Namespace: w.o.namespace, Name: name}, secret)
	})
	return secret.Data
}

// client logs in at a registry as somebody.
func (w world) registryAs(c registry.Credentials) *registry.Client {
	w.Helper()
	with, err := trust(w.secret(keyring.CertificateSecret)["ca.crt"])
	must(w.T, err)
	return registry.NewClient(w.o.registryAddress, c, with...)
}

func (w world) image(name string, source v1alpha2.VirtualImageDataSource) *v1alpha2.VirtualImage {
	w.Helper()
	image := &v1alpha2.VirtualImage{ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: name}, Spec: v1alpha2.VirtualImageSpec{
		Storage: v1alpha2.StorageContainerRegistry, DataSource: source,
	}}
	must(w.T, w.client.Create(w.Context(), image))
	return image
}

func (w world) imageReady(image *v1alpha2.VirtualImage) {
	w.Helper()
	w.eventually("image "+image.Name, func(ctx context.Context) error {
		err := w.client.Get(ctx, client.ObjectKeyFromObject(image), image)
		if err == nil && image.Status.Phase != v1alpha2.ImageReady {
			err = fmt.Errorf("phase %s: %v", image.Status.Phase, image.Status.Conditions)
		}
		return err
	})
}

func (w world) importerPod() *corev1.Pod {
	w.Helper()
	var pods corev1.PodList
	w.eventually("the importer pod", func(ctx context.Context) error {
		err := w.client.List(ctx, &pods, client.InNamespace(w.o.namespace))
		if err == nil && len(pods.Items) != 1 {
			err = fmt.Errorf("%d pods", len(pods.Items))
		}
		return err
	})
	return &pods.Items[0]
}

// runImporter plays the kubelet that runs a pod; its order lets it write the one repository.
func (w world) runImporter(d dvcr, pod *corev1.Pod, repository string) {
	w.Helper()
	secret, dir := &corev1.Secret{}, w.TempDir()
	w.eventually("the order", func(ctx context.Context) error { return w.client.Get(ctx, client.ObjectKeyFromObject(pod), secret) })
	order, report := filepath.Join(dir, "order.json"), filepath.Join(dir, "report")
	must(w.T, os.WriteFile(order, secret.Data["order.json"], 0o600))
	var read importer.Order
	must(w.T, json.Unmarshal(secret.Data["order.json"], &read))
	if want := d.Key().ImporterOf(repository); read.Username != want.Username || read.Password != want.Password {
		w.Errorf("the pod logs in as %s", read.Username)
	}
	pod.Status.Phase = corev1.PodRunning
	must(w.T, w.client.Status().Update(w.Context(), pod))
	cmd := exec.CommandContext(w.Context(), program.Build(w, "slipway-dvcr"), "import", "--order", order, "--dir", dir, "--termination-log", report, "--metrics-address", "127.0.0.1:0")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("import: %v: %s", err, out)
	}
	text, err := os.ReadFile(report)
	must(w.T, err)
	must(w.T, w.client.Get(w.Context(), client.ObjectKeyFromObject(pod), pod)) // the same pod as before the restart
	pod.Status.Phase = corev1.PodSucceeded
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "dvcr-importer", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		Message: string(text), FinishedAt: metav1.NewTime(time.Now().Add(-time.Hour)), // while no controller ran
	}}}}
	must(w.T, w.client.Status().Update(w.Context(), pod))
}

// upload sends an image to where its status says, as the leader's EndpointSlice leads the Service.
func (w world) upload(raw []byte) {
	w.Helper()
	image := w.image("sent", v1alpha2.VirtualImageDataSource{Type: "Upload"})
	w.eventually("an address to upload to", func(ctx context.Context) error {
		err := w.client.Get(ctx, client.ObjectKeyFromObject(image), image)
		if err == nil && image.Status.ImageUploadURLs == nil {
			err = fmt.Errorf("phase %s: %v", image.Status.Phase, image.Status.Conditions)
		}
		return err
	})
	at, err := url.Parse(image.Status.ImageUploadURLs.InCluster)
	must(w.T, err)
	if at.Host != "slipway-uploads.slipway-system.svc" {
		w.Errorf("uploads go to %s", at.Host)
	}
	slice := &discoveryv1.EndpointSlice{}
	w.eventually("the Service led to the leader", func(ctx context.Context) error {
		return w.client.Get(ctx, client.ObjectKey{Namespace: w.o.namespace, Name: "slipway-uploads"}, slice)
	})
	_, port, err := net.SplitHostPort(w.o.uploadBind)
	must(w.T, err)
	if slice.Endpoints[0].Addresses[0] != "192.0.2.7" || fmt.Sprint(*slice.Ports[0].Port) != port {
		w.Errorf("the Service is led to %v %v", slice.Endpoints, slice.Ports)
	}
	request, err := http.NewRequestWithContext(w.Context(), http.MethodPut, "http://"+w.o.uploadBind+at.Path, bytes.NewReader(raw))
	must(w.T, err)
	answer, err := http.DefaultClient.Do(request)
	must(w.T, err)
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode >= http.StatusBadRequest {
		w.Fatalf("the upload is answered with %s: %s (%v)", answer.Status, text, err)
	}
	w.imageReady(image)
}

// tenantLogsInAsReader looks at the login that CDI is given in the tenant's namespace.
func (w world) tenantLogsInAsReader(d dvcr) {
	w.Helper()
	must(w.T, w.client.Create(w.Context(), &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast"}, Provisioner: "example.com/none"}))
	disk := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: "root"}, Spec: v1alpha2.VirtualDiskSpec{
		DataSource:            &v1alpha2.VirtualDiskDataSource{Type: "ObjectRef", ObjectRef: &v1alpha2.VirtualDiskObjectRef{Kind: "VirtualImage", Name: "sample"}},
		PersistentVolumeClaim: v1alpha2.VirtualDiskPersistentVolumeClaim{StorageClassName: ptr.To("fast")},
	}}
	must(w.T, w.client.Create(w.Context(), disk))
	w.eventually("the login for CDI", func(ctx context.Context) error {
		var secrets corev1.SecretList
		if err := w.client.List(ctx, &secrets, client.InNamespace("store")); err != nil {
			return err
		}
		for _, s := range secrets.Items {
			if !strings.HasPrefix(s.Name, "d8v-vd-dvcr-auth-") {
				continue
			}
			if want := d.Key().ReaderOf("store"); string(s.Data["accessKeyId"]) != want.Username || string(s.Data["secretKey"]) != want.Password {
				w.Errorf("CDI logs in as %s", s.Data["accessKeyId"])
			}
			return nil
		}
		return fmt.Errorf("%d Secrets, none of them the login", len(secrets.Items))
	})
}

// collected puts there what no object needs, and waits until it is gone. It looks into the store: whoever asks the
// registry for a tag uses it, and what is used is kept.
func (w world) collected(d dvcr) {
	w.Helper()
	all := w.registryAs(d.Key().Controller())
	repository, err := all.Repository("vi/store/forgotten")
	must(w.T, err)
	manifest, err := oras.PackManifest(w.Context(), repository, oras.PackManifestVersion1_1, "test/garbage", oras.PackManifestOptions{})
	must(w.T, err)
	must(w.T, repository.Tag(w.Context(), manifest, "u1"))
	d.clock.SetTime(d.clock.Now().Add(100 * 24 * time.Hour)) // past every grace
	w.eventually("the garbage gone", func(ctx context.Context) error {
		if tags, err := d.Inventory().Tags(ctx, "vi/store/forgotten"); err == nil && len(tags) > 0 {
			return errors.New("it is there")
		}
		return nil
	})
	kept, err := all.Repository("vi/store/sample")
	must(w.T, err)
	image := &v1alpha2.VirtualImage{}
	must(w.T, w.client.Get(w.Context(), client.ObjectKey{Namespace: "store", Name: "sample"}, image))
	if _, err := kept.Resolve(w.Context(), string(image.UID)); err != nil {
		w.Errorf("the image was collected: %v", err)
	}
}

// onlyImporterPods: of the pods that the controllers' rights let them make anywhere, the policy lets importer pods pass.
func (w world) onlyImporterPods() {
	w.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", w.o.kubeconfig)
	must(w.T, err)
	controllers, err := client.New(config, client.Options{})
	must(w.T, err)
	good := func() *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "d8v-importer-1", Labels: map[string]string{"app": "dvcr-data-importer"}},
			Spec: corev1.PodSpec{
				AutomountServiceAccountToken: ptr.To(false), SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: ptr.To(true)},
				Containers: []corev1.Container{{Name: "x", Image: "x", SecurityContext: &corev1.SecurityContext{AllowPrivilegeEscalation: ptr.To(false)}}},
			},
		}
	}
	w.eventually("the policy in force", func(ctx context.Context) error {
		bare := good()
		bare.Labels = nil
		if err := controllers.Create(ctx, bare, client.DryRunAll); !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
			return fmt.Errorf("a pod without the label: %w", err)
		}
		return nil
	})
	for name, spoil := range map[string]func(*corev1.Pod){
		"the host's files": func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		},
		"a Secret of others": func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "other"}}}}
		},
		"a ServiceAccount":   func(p *corev1.Pod) { p.Spec.ServiceAccountName = "tenant" },
		"a token":            func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = nil },
		"the host's network": func(p *corev1.Pod) { p.Spec.HostNetwork = true },
		"a root user":        func(p *corev1.Pod) { p.Spec.SecurityContext = nil },
		"privileges by suid": func(p *corev1.Pod) { p.Spec.Containers[0].SecurityContext = nil },
		"a privileged container": func(p *corev1.Pod) {
			p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true)}
		},
	} {
		pod := good()
		spoil(pod)
		if err := controllers.Create(w.Context(), pod, client.DryRunAll); !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
			w.Errorf("the controllers may make a pod with %s (%v)", name, err)
		}
	}
	must(w.T, controllers.Create(w.Context(), good()))
	must(w.T, controllers.Delete(w.Context(), good()))
	other := good()
	other.Name, other.Labels = "web", nil
	must(w.T, w.client.Create(w.Context(), other))
	if err := controllers.Delete(w.Context(), other); !apierrors.IsInvalid(err) && !apierrors.IsForbidden(err) {
		w.Errorf("the controllers may delete the pods of others (%v)", err)
	}
}
