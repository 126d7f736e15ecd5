package podimport

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	testclock "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/image/intake/intaketest"
	"slipway.dev/slipway/test/kubetest"
	"slipway.dev/slipway/test/program"
)

var _ intake.Runner = (*Runner)(nil)

// world is a cluster whose kubelet is the test, and a DVCR.
type world struct {
	client client.Client
	runner *Runner
	local  *intaketest.Runner
	dvcr   *registry.Server
	ns     string
	now    *testclock.FakePassiveClock
}

func newWorld(t *testing.T) *world {
	t.Helper()
	c, err := client.New(kubetest.Start(t), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{client: c, local: intaketest.NewRunner(), now: testclock.NewFakePassiveClock(time.Now()), ns: kubetest.Namespace(t, c)}
	if w.dvcr, err = registry.NewServer(registry.Config{Dir: t.TempDir()}); err != nil {
		t.Fatal(err)
	}
	if err := w.dvcr.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.dvcr.Close(context.Background()) })
	template := &corev1.PodTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: "importer"}}
	template.Template.Spec.Containers = []corev1.Container{{Name: container, Image: "registry.test/slipway-dvcr:v1", Resources: corev1.ResourceRequirements{
		Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("600M")},
	}}}
	template.Template.Spec.NodeSelector = map[string]string{"disks": "fast"}
	if err := c.Create(t.Context(), template); err != nil {
		t.Fatal(err)
	}
	w.runner = w.newRunner()
	return w
}

func (w *world) newRunner() *Runner {
	return NewRunner(Options{
		Client: w.client, Namespace: w.ns, Template: "importer", Clock: w.now, Local: w.local,
		Registry: w.dvcr.Addr(), Login: func(repository string) intake.Login { return intake.Login(w.dvcr.Key().ImporterOf(repository)) },
		Egress: egress.Policy{Allow: egress.Loopback},
		Scrape: func(context.Context, *corev1.Pod) (importer.Progress, error) {
			return importer.Progress{Done: 5, Total: 10}, nil
		},
	})
}

func job(url string) importer.Job {
	return importer.Job{ID: "u1", Destination: "vi/team/debian:u1", Source: importer.Source{HTTP: &importer.HTTPSource{URL: url}}}
}

// pod reads the pod of the job; nil when there is none.
func (w *world) pod(t *testing.T) *corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	if err := w.client.List(t.Context(), &pods, client.InNamespace(w.ns), client.MatchingLabels{idLabel: nameOf("u1")}); err != nil {
		t.Fatal(err)
	}
	if len(pods.Items) > 1 {
		t.Fatalf("there are %d pods", len(pods.Items))
	}
	if len(pods.Items) == 0 {
		return nil
	}
	return &pods.Items[0]
}

// becomes sets the status of the pod as a kubelet would.
func (w *world) becomes(t *testing.T, phase corev1.PodPhase, state corev1.ContainerState) {
	t.Helper()
	pod := w.pod(t)
	pod.Status.Phase = phase
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: container, Image: pod.Spec.Containers[0].Image, State: state}}
	if err := w.client.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
}

// reconcile looks at the pod and returns the job that is told of.
func (w *world) reconcile(t *testing.T, key types.NamespacedName) string {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := w.runner.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
		done <- err
	}()
	id := <-w.runner.Events()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return id
}

func (w *world) ensure(t *testing.T, j importer.Job, want importer.Phase) importer.State {
	t.Helper()
	s := w.runner.Ensure(t.Context(), j)
	if s.Phase != want {
		t.Fatalf("the job is %s (%v), want %s", s.Phase, s.Err, want)
	}
	return s
}

// TestImportInPod plays a kubelet that runs the real program on the order in the Secret.
func TestImportInPod(t *testing.T) {
	binary := program.Build(t, "slipway-dvcr")
	raw := make([]byte, 1<<20)
	raw[510], raw[511] = 0x55, 0xaa
	web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(raw) }))
	t.Cleanup(web.Close)
	w, j := newWorld(t), job(web.URL)

	w.ensure(t, j, importer.Pending)
	w.ensure(t, j, importer.Pending)
	pod := w.pod(t)
	if c := pod.Spec.Containers[0]; c.Image != "registry.test/slipway-dvcr:v1" || c.Resources.Limits.Memory().String() != "600M" || pod.Spec.NodeSelector["disks"] != "fast" {
		t.Errorf("the pod does not follow its template: %+v", pod.Spec)
	}
	key := client.ObjectKeyFromObject(pod)
	var secret corev1.Secret
	if err := w.client.Get(t.Context(), key, &secret); err != nil {
		t.Fatal(err)
	}
	w.becomes(t, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	if id := w.reconcile(t, key); id != "u1" {
		t.Errorf("told of job %q", id)
	}
	if s := w.ensure(t, j, importer.Running); s.Progress.Done != 5 || s.Progress.Total != 10 {
		t.Errorf("progress is %+v", s.Progress)
	}

	dir := t.TempDir()
	order, report := filepath.Join(dir, "order.json"), filepath.Join(dir, "report")
	if err := os.WriteFile(order, secret.Data[orderFile], 0o600); err != nil {
		t.Fatal(err)
	}
	args := append(pod.Spec.Containers[0].Command[1:], "--order", order, "--dir", dir, "--termination-log", report, "--metrics-address", "127.0.0.1:0")
	if out, err := exec.Command(binary, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	w.becomes(t, corev1.PodSucceeded, corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Message: string(text), FinishedAt: metav1.NewTime(w.now.Now())}})
	s := w.ensure(t, j, importer.Succeeded)
	repo, err := w.dvcr.Client().Repository("vi/team/debian")
	if err != nil {
		t.Fatal(err)
	}
	info, err := disk.Inspect(t.Context(), repo, "u1")
	if err != nil || info.Digest != s.Result.Digest || s.Result.VirtualSize != 1<<20 {
		t.Errorf("DVCR holds %+v (%v), the state says %+v", info, err, s.Result)
	}

	w.now.SetTime(w.now.Now().Add(time.Hour)) // no controller ran, and then a new process finds the pod
	w.runner = w.newRunner()
	w.reconcile(t, key)
	w.ensure(t, j, importer.Succeeded)
	w.reconcile(t, key)
	w.ensure(t, j, importer.Succeeded)
	w.now.SetTime(w.now.Now().Add(keepEnded))
	w.reconcile(t, key)
	if w.pod(t) != nil {
		t.Error("the pod stays")
	}
	if err := w.client.Get(t.Context(), key, &secret); !apierrors.IsNotFound(err) {
		t.Errorf("its order stays (%v)", err)
	}
}

func TestFailedPods(t *testing.T) {
	terminated := func(reason, message string) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: reason, Message: message}}
	}
	waiting := func(reason, message string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
	}
	cases := map[string]struct {
		phase corev1.PodPhase
		state corev1.ContainerState
		want  error
		says  string
	}{
		"checksum":           {corev1.PodFailed, terminated("Error", `{"kind":"Checksum","message":"sha256 is 1, want 2"}`), importer.ErrChecksum, "want 2"},
		"out of memory":      {corev1.PodFailed, terminated("OOMKilled", ""), importer.ErrUnreachable, "OOMKilled"},
		"image not there":    {corev1.PodPending, waiting("ErrImagePull", "not found"), intake.ErrImagePull, "ErrImagePull: not found"},
		"image denied":       {corev1.PodPending, waiting("ImagePullBackOff", "denied"), intake.ErrImagePull, "ImagePullBackOff: denied"},
		"image without name": {corev1.PodPending, waiting("InvalidImageName", "bad"), intake.ErrImagePull, "registry.test/slipway-dvcr:v1"},
		"image never pulled": {corev1.PodPending, waiting("ErrImageNeverPull", "policy"), intake.ErrImagePull, "policy"},
		"no order":           {corev1.PodPending, waiting("CreateContainerConfigError", "secret"), importer.ErrRegistry, "does not start: CreateContainerConfigError: secret"},
	}
	w := newWorld(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			j := job("http://files.test/" + name)
			w.ensure(t, j, importer.Pending)
			w.becomes(t, c.phase, c.state)
			s := w.ensure(t, j, importer.Failed)
			if !errors.Is(s.Err, c.want) || !strings.Contains(s.Err.Error(), c.says) {
				t.Errorf("failed with %v, want %v and %q", s.Err, c.want, c.says)
			}
			before := w.pod(t)
			w.runner.Retry("u1")
			w.ensure(t, j, importer.Pending)
			if after := w.pod(t); after == nil || after.UID == before.UID {
				t.Error("no other pod was made")
			}
			w.runner.Forget("u1")
		})
	}
}

// TestCorrectedImage pulls the importer from where the template says now, when the import is tried again.
func TestCorrectedImage(t *testing.T) {
	w := newWorld(t)
	j := job("http://files.test/a")
	w.ensure(t, j, importer.Pending)
	w.becomes(t, corev1.PodPending, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull"}})
	w.ensure(t, j, importer.Failed)
	template := &corev1.PodTemplate{}
	if err := w.client.Get(t.Context(), types.NamespacedName{Namespace: w.ns, Name: "importer"}, template); err != nil {
		t.Fatal(err)
	}
	template.Template.Spec.Containers[0].Image = "registry.test/slipway-dvcr:v2"
	if err := w.client.Update(t.Context(), template); err != nil {
		t.Fatal(err)
	}
	w.runner.Retry("u1")
	w.ensure(t, j, importer.Pending)
	if image := w.pod(t).Spec.Containers[0].Image; image != "registry.test/slipway-dvcr:v2" {
		t.Errorf("the pod's image is %s", image)
	}
	w.becomes(t, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	w.ensure(t, j, importer.Running)
}

// TestOtherJobReplacesPod changes the source under the same ID.
func TestOtherJobReplacesPod(t *testing.T) {
	w := newWorld(t)
	w.ensure(t, job("http://files.test/a"), importer.Pending)
	first := w.pod(t)
	w.ensure(t, job("http://files.test/b"), importer.Pending)
	w.ensure(t, job("http://files.test/b"), importer.Pending)
	if second := w.pod(t); second == nil || second.UID == first.UID {
		t.Error("the pod of the other job runs on")
	}
}

// TestEvictedPod is what a drain does: it evicts pods that have a controller, and the import goes on in another one.
func TestEvictedPod(t *testing.T) {
	w := newWorld(t)
	j := job("http://files.test/a")
	w.ensure(t, j, importer.Pending)
	w.becomes(t, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	first := w.pod(t)
	if owner := metav1.GetControllerOf(first); owner == nil || owner.Kind != "PodTemplate" || owner.Name != "importer" {
		t.Fatalf("the pod is controlled by %+v, so that a drain leaves it alone", owner)
	}
	w.reconcile(t, client.ObjectKeyFromObject(first))
	if err := w.client.SubResource("eviction").Create(t.Context(), first, &policyv1.Eviction{}); err != nil {
		t.Fatal(err)
	}
	if id := w.reconcile(t, client.ObjectKeyFromObject(first)); id != "u1" {
		t.Errorf("job %q is told of the eviction", id)
	}
	w.ensure(t, j, importer.Pending)
	second := w.pod(t)
	if second == nil || second.UID == first.UID {
		t.Fatal("no other pod was made")
	}
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(second), &corev1.Secret{}); err != nil {
		t.Errorf("the other pod has no order: %v", err)
	}
	w.becomes(t, corev1.PodRunning, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}})
	w.ensure(t, j, importer.Running)
}

// TestVolumePod reads claims beside them, as devices or as file systems.
func TestVolumePod(t *testing.T) {
	w := newWorld(t)
	for mode, want := range map[corev1.PersistentVolumeMode]bool{corev1.PersistentVolumeBlock: true, corev1.PersistentVolumeFilesystem: false} {
		name := strings.ToLower(string(mode))
		claim := &corev1.PersistentVolumeClaim{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.ns, Name: name},
			Spec: corev1.PersistentVolumeClaimSpec{
				AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, VolumeMode: ptr.To(mode),
				Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
			},
		}
		if err := w.client.Create(t.Context(), claim); err != nil {
			t.Fatal(err)
		}
		j := importer.Job{ID: "u1", Destination: "vi/team/x:u1", Source: importer.Source{Volume: &importer.VolumeSource{Namespace: w.ns, Claim: name}}}
		w.ensure(t, j, importer.Pending)
		c := w.pod(t).Spec.Containers[0]
		if owner := metav1.GetControllerOf(w.pod(t)); owner == nil || owner.UID != claim.UID {
			t.Errorf("%s: the pod is controlled by %+v, want its claim", mode, owner)
		}
		if got := len(c.VolumeDevices) == 1; got != want || len(c.VolumeMounts) != map[bool]int{true: 2, false: 3}[want] {
			t.Errorf("%s: devices %v, mounts %v", mode, c.VolumeDevices, c.VolumeMounts)
		}
		w.runner.Forget("u1")
	}
	missing := importer.Job{ID: "u1", Source: importer.Source{Volume: &importer.VolumeSource{Namespace: w.ns, Claim: "none"}}}
	if s := w.ensure(t, missing, importer.Failed); !strings.Contains(s.Err.Error(), "none") {
		t.Errorf("failed with %v", s.Err)
	}
}

// TestLocalJobs stay in this process.
func TestLocalJobs(t *testing.T) {
	w := newWorld(t)
	for _, source := range []importer.Source{{Upload: &importer.UploadSource{}}, {Artifact: &importer.ArtifactSource{Name: "cvi/a:b"}}} {
		w.ensure(t, importer.Job{ID: "u1", Source: source}, importer.Running)
	}
	w.runner.Forget("u1")
	if diff := cmp.Diff([]string{"start u1", "forget u1"}, w.local.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if w.pod(t) != nil {
		t.Error("there is a pod")
	}
}

func TestParseProgress(t *testing.T) {
	text := `# HELP x
registry_done_bytes{ownerUID="u"} 1.5e+06
registry_total_bytes{ownerUID="u"} 3e+06
registry_current_speed{ownerUID="u"} 7
registry_progress{ownerUID="u"} 50
registry_total_bytes nonsense
registry_done_bytes{ownerUID="u"} NaN
registry_done_bytes{ownerUID="u"} -1
`
	if diff := cmp.Diff(importer.Progress{Done: 1500000, Total: 3000000, BytesPerSecond: 7}, parseProgress(strings.NewReader(text))); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}
