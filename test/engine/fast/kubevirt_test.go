//go:build e2e

package fast

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	kubernetesscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	kubevirtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha3"
	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/test/engine/apply"
	"slipway.dev/slipway/test/engine/build"
	"slipway.dev/slipway/test/engine/cdi"
	"slipway.dev/slipway/test/engine/kubevirt"
	"slipway.dev/slipway/test/kubetest"
)

const (
	// patience bounds a wait for what normally takes a moment.
	patience  = 2 * time.Minute
	pollEvery = 100 * time.Millisecond
)

// plane is an API server with KubeVirt's control plane beside it.
type plane struct {
	dir     string
	config  *rest.Config
	client  client.Client
	applier *apply.Applier
	// programs are KubeVirt's own.
	programs build.Binaries
}

// startKubeVirt brings up everything; the test's end takes it down.
func startKubeVirt(t *testing.T) *plane {
	t.Helper()
	p := &plane{programs: buildPrograms(t), dir: t.TempDir(), config: kubetest.StartFS(t, crd.Files)}
	var err error
	p.client, err = client.New(p.config, client.Options{Scheme: kinds(t)})
	must(t, err)
	p.applier, err = apply.New(p.config)
	must(t, err)

	p.startCDI(t)
	port := freePort(t)
	stages, err := kubevirt.Manifests(t.Context(), p.programs[kubevirt.Generator], p.manifests(), kubevirt.Plan{Shape: kubevirt.Processes, Port: port})
	must(t, err)
	// The namespace's objects need the namespace, and KubeVirt's own object its definition.
	before, webhooks := stages[:len(stages)-1], stages[len(stages)-1]
	must(t, p.applier.Apply(t.Context(), before...))
	p.startAPI(t, port)
	p.startController(t)
	p.waitForSubresources(t)
	must(t, p.applier.Apply(t.Context(), webhooks))
	p.waitForWebhooks(t)
	return p
}

func kinds(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		kubernetesscheme.AddToScheme, v1alpha2.AddToScheme, v1alpha3.AddToScheme, kubevirtv1.AddToScheme, cdiv1.AddToScheme, snapshotv1.AddToScheme,
	} {
		must(t, add(scheme))
	}
	return scheme
}

// buildPrograms compiles the control planes, or finds them compiled.
func buildPrograms(t *testing.T) build.Binaries {
	t.Helper()
	cache, err := os.UserCacheDir()
	must(t, err)
	root, err := filepath.Abs("..")
	must(t, err)
	builds := build.NewCache(filepath.Join(cache, "slipway", "engine", "bin"), func(step build.Step) {
		t.Logf("%s: built in %s (from the cache: %t)", step.Command, step.Took.Round(time.Second), step.Cached)
	})
	programs := build.Binaries{}
	for _, module := range []build.Module{kubevirt.ControlPlane(root), cdi.ControlPlane(root)} {
		made, err := builds.Build(t.Context(), module)
		must(t, err)
		maps.Copy(programs, made)
	}
	return programs
}

func (p *plane) manifests() string { return filepath.Join(p.dir, "manifests") }

func (p *plane) startAPI(t *testing.T, port int) {
	t.Helper()
	certificate, key := kubevirt.Pair(p.manifests(), "kubevirt-virt-api-certs")
	handlerCertificate, handlerKey := kubevirt.Pair(p.manifests(), "kubevirt-virt-handler-certs")
	p.start(t, "virt-api", account{kubevirt.Namespace, kubevirt.APIAccount},
		"--listen", "127.0.0.1", "--port", strconv.Itoa(port), "--console-server-port", strconv.Itoa(freePort(t)), "--subresources-only=false",
		"--tls-cert-file", certificate, "--tls-key-file", key, "--handler-cert-file", handlerCertificate, "--handler-key-file", handlerKey)
}

func (p *plane) startController(t *testing.T) {
	t.Helper()
	certificate, key := kubevirt.Pair(p.manifests(), "kubevirt-controller-certs")
	p.start(t, "virt-controller", account{kubevirt.Namespace, kubevirt.ControllerAccount},
		"--listen", "127.0.0.1", "--port", strconv.Itoa(freePort(t)), "--launcher-image", "localhost/virt-launcher:engine",
		"--exporter-image", "localhost/virt-exportserver:engine", "--prom-cert-file", certificate, "--prom-key-file", key)
}

// account is a service account by which a component speaks.
type account struct{ namespace, name string }

// start runs a component as its own service account until the test ends.
func (p *plane) start(t *testing.T, name string, by account, args ...string) {
	t.Helper()
	var output bytes.Buffer
	command := exec.Command(p.programs[name], append(args, "--kubeconfig", p.kubeconfig(t, by))...)
	command.Stdout, command.Stderr = &output, &output
	// A component must not outlive a test that is killed.
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, tail(output.String()))
		}
	})
}

func tail(text string) string {
	const most = 8000
	return text[max(0, len(text)-most):]
}

// kubeconfig lets a process speak as a service account.
func (p *plane) kubeconfig(t *testing.T, by account) string {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["engine"] = &clientcmdapi.Cluster{Server: p.config.Host, CertificateAuthorityData: p.config.CAData}
	config.AuthInfos[by.name] = &clientcmdapi.AuthInfo{Token: p.token(t, by)}
	config.Contexts["engine"] = &clientcmdapi.Context{Cluster: "engine", AuthInfo: by.name, Namespace: by.namespace}
	config.CurrentContext = "engine"
	path := filepath.Join(p.dir, by.name+".kubeconfig")
	must(t, clientcmd.WriteToFile(*config, path))
	return path
}

func (p *plane) token(t *testing.T, by account) string {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(3600))}}
	object := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: by.namespace, Name: by.name}}
	must(t, p.client.SubResource("token").Create(t.Context(), object, request))
	return request.Status.Token
}

// waitForSubresources waits until the API server reaches virt-api through its aggregation, which webhooks take too.
func (p *plane) waitForSubresources(t *testing.T) {
	t.Helper()
	clients := kubernetes.NewForConfigOrDie(p.config)
	group := schema.GroupVersion{Group: "subresources.kubevirt.io", Version: "v1"}.String()
	until(t, "virt-api answers", func(context.Context) error {
		_, err := clients.Discovery().ServerResourcesForGroupVersion(group)
		return err
	})
}

// waitForWebhooks waits until the API server asks virt-api about machines: one that no KubeVirt takes is refused by it.
func (p *plane) waitForWebhooks(t *testing.T) {
	t.Helper()
	bad := &kubevirtv1.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "two-ways-to-run"},
		Spec: kubevirtv1.VirtualMachineSpec{
			Running: ptr.To(true), RunStrategy: ptr.To(kubevirtv1.RunStrategyManual), Template: &kubevirtv1.VirtualMachineInstanceTemplateSpec{},
		},
	}
	until(t, "virt-api refuses a bad machine", func(ctx context.Context) error {
		err := p.client.Create(ctx, bad.DeepCopy(), client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "admission webhook \"virtualmachine-validator.kubevirt.io\" denied") {
			return fmt.Errorf("the answer is %w", err)
		}
		return nil
	})
}

// until waits for what other processes do: it asks again, because there is no other way to know.
func until(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), pollEvery, patience, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("wait until %s: %v: %v", what, err, last)
	}
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal(fmt.Errorf("listener has the address %s", listener.Addr()))
	}
	return address.Port
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
