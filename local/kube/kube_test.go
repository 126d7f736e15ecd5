package kube_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"slipway.dev/slipway/local/kube"
)

// dirVariable makes this test binary start a control plane and wait, so that a
// test can kill the process that holds one.
const dirVariable = "KUBE_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" {
		hold(dir)
		return
	}
	os.Exit(m.Run())
}

// hold starts a control plane and keeps it until this process is killed.
func hold(dir string) {
	plane, err := kube.Start(context.Background(), kube.Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(plane.PID())
	<-plane.Done()
}

func start(t *testing.T, o kube.Options) *kube.ControlPlane {
	t.Helper()
	o.Progress = func(step string) { t.Log(step) }
	plane, err := kube.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, plane) })
	return plane
}

func stop(t *testing.T, plane *kube.ControlPlane) {
	t.Helper()
	// A test's own context has ended when its cleanup runs.
	if err := plane.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

func create(t *testing.T, config *rest.Config, namespace string) {
	t.Helper()
	object := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	if _, err := kubernetes.NewForConfigOrDie(config).CoreV1().Namespaces().Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func mustHave(t *testing.T, config *rest.Config, namespace string) {
	t.Helper()
	if _, err := kubernetes.NewForConfigOrDie(config).CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{}); err != nil {
		t.Errorf("get namespace %s: %v", namespace, err)
	}
}

func mustRun(t *testing.T, dir string, want int) {
	t.Helper()
	pid, err := kube.Running(dir)
	if err != nil || pid != want {
		t.Errorf("running: process %d, %v; want process %d", pid, err, want)
	}
}

func TestRestartKeepsObjectsAndAddress(t *testing.T) {
	dir := t.TempDir()
	first := start(t, kube.Options{Dir: dir})
	handedOut := first.Config()
	create(t, handedOut, "kept")
	mustRun(t, dir, first.PID())
	stop(t, first)
	mustRun(t, dir, 0)

	second := start(t, kube.Options{Dir: dir})
	mustHave(t, second.Config(), "kept")
	if got := second.Config().Host; got != handedOut.Host {
		t.Errorf("address %s after a restart, want %s", got, handedOut.Host)
	}
	// A copy of the first start's kubeconfig must go on working.
	mustHave(t, handedOut, "kept")
}

func TestSecondStartOnOneDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, kube.Options{Dir: dir})
	_, err := kube.Start(t.Context(), kube.Options{Dir: dir})
	if !errors.Is(err, kube.ErrInUse) {
		t.Errorf("second start: %v, want ErrInUse", err)
	}
}

func TestDetachedIsTakenOver(t *testing.T) {
	dir := t.TempDir()
	first := start(t, kube.Options{Dir: dir, Detached: true})
	create(t, first.Config(), "mine")
	second := start(t, kube.Options{Dir: dir})
	if second.PID() != first.PID() {
		t.Errorf("process %d, want to take over %d", second.PID(), first.PID())
	}
	mustHave(t, second.Config(), "mine")
	stop(t, second)
	mustRun(t, dir, 0)
}

func TestControlPlaneEndsWithKilledParentAndStartsAgain(t *testing.T) {
	dir := t.TempDir()
	parent := exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), dirVariable+"="+dir)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	orphan, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, dir, orphan)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()

	// Starting again waits for the orphan to end and never meets its lock.
	next := start(t, kube.Options{Dir: dir})
	if next.PID() == orphan {
		t.Errorf("took over process %d, which had lost its parent", orphan)
	}
	mustRun(t, dir, next.PID())
}

func TestEphemeralLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	stop(t, start(t, kube.Options{Dir: dir, Ephemeral: true}))
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("data directory after the end: %v, want none", err)
	}
}

func TestEphemeralRefusesToDeleteWhatItDidNotMake(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "precious")
	if err := os.WriteFile(precious, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if plane, err := kube.Start(t.Context(), kube.Options{Dir: dir, Ephemeral: true}); err == nil {
		stop(t, plane)
		t.Error("started on a directory that holds files")
	}
	if _, err := os.Stat(precious); err != nil {
		t.Errorf("file that stood there before: %v", err)
	}
}

func TestFailureToStartSaysWhy(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "etcd"), []byte("not a directory"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := kube.Start(t.Context(), kube.Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "controlplane.log")) || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("error %v, want one that names etcd and the log", err)
	}
	mustRun(t, dir, 0)
}

func TestInstallCRDsReportsTheOneRefused(t *testing.T) {
	plane := start(t, kube.Options{Dir: filepath.Join(t.TempDir(), "data"), Ephemeral: true})
	broken := fstest.MapFS{"crd.yaml": {Data: []byte("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: wrong.example.com}\nspec: {group: example.com, scope: Namespaced, names: {kind: Right, plural: rights}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}\n")}}
	err := kube.InstallCRDs(t.Context(), plane.Config(), broken)
	if err == nil || !strings.Contains(err.Error(), "wrong.example.com") {
		t.Errorf("error %v, want one that names wrong.example.com", err)
	}
}

func TestSeparatePrograms(t *testing.T) {
	if os.Getenv(kube.AssetsVariable) == "" {
		t.Skipf("%s is not set: nothing to run as separate programs", kube.AssetsVariable)
	}
	dir := t.TempDir()
	programs := kube.Options{Dir: dir}
	first, err := kube.StartAssets(t.Context(), programs)
	if err != nil {
		t.Fatal(err)
	}
	create(t, first.Config(), "kept")
	mustRun(t, dir, os.Getpid())
	stop(t, first)
	mustRun(t, dir, 0)
	mustHave(t, start(t, kube.Options{Dir: dir}).Config(), "kept")
}
