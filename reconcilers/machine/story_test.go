package machine_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	kubevirtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha3"
	"slipway.dev/slipway/config/crd"
	enginecrd "slipway.dev/slipway/local/node/crd"
	"slipway.dev/slipway/reconcilers/address"
	"slipway.dev/slipway/reconcilers/admission"
	"slipway.dev/slipway/reconcilers/class"
	"slipway.dev/slipway/reconcilers/machine"
	"slipway.dev/slipway/reconcilers/operation"
	"slipway.dev/slipway/test/kubetest"
)

// story is a real API server with the controllers of machines, classes,
// addresses and operations and their admission. The test plays the user, the
// disks and KubeVirt.
type story struct {
	*testing.T
	client.WithWatch
	namespace string
}

func begin(t *testing.T) *story {
	t.Helper()
	config := kubetest.StartFS(t, crd.Files, enginecrd.Files)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha2.AddToScheme, v1alpha3.AddToScheme, kubevirtv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	admin, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	hooks, port, ca := webhookServer(t)
	manager, err := ctrl.NewManager(config, ctrl.Options{Scheme: scheme, Metrics: metricsserver.Options{BindAddress: "0"}, WebhookServer: hooks})
	if err != nil {
		t.Fatal(err)
	}
	real := clock.RealClock{}
	for _, err := range []error{
		class.SetupWithManager(manager, class.Deps{Clock: real, SingleNode: "here", Namespace: "slipway-system"}),
		address.SetupWithManager(manager, address.Deps{Clock: real}),
		machine.SetupWithManager(manager, machine.Deps{Clock: real, EndOnReset: true}),
		operation.SetupWithManager(manager, operation.Deps{Clock: real}),
		admission.SetupWithManager(manager, admission.Deps{}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	run(t, manager)
	s := &story{T: t, WithWatch: admin, namespace: kubetest.Namespace(t, admin)}
	s.admit(admission.Endpoint{BaseURL: fmt.Sprintf("https://127.0.0.1:%d", port), CABundle: ca})
	return s
}

// run runs the manager until the test ends.
func run(t *testing.T, manager ctrl.Manager) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("manager: %v", err)
		}
	})
	if !manager.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("the caches do not fill")
	}
}

// webhookServer serves on a free port with a certificate of its own.
func webhookServer(t *testing.T) (webhook.Server, int, []byte) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "admission"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	for name, content := range map[string][]byte{"tls.crt": ca, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: port, CertDir: dir}), port, ca
}

// admit tells the API server of the webhooks, for as long as the test runs.
func (s *story) admit(endpoint admission.Endpoint) {
	s.Helper()
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := s.Get(s.Context(), client.ObjectKey{Name: "virtualmachineclasses.virtualization.deckhouse.io"}, definition); err != nil {
		s.Fatal(err)
	}
	definition.Spec.Conversion = admission.Conversion(endpoint)
	if err := s.Update(s.Context(), definition); err != nil {
		s.Fatal(err)
	}
	mutating, validating := admission.Configurations(endpoint)
	for _, object := range []client.Object{mutating, validating} {
		s.make(object)
		s.Cleanup(func() {
			if err := s.WithWatch.Delete(context.Background(), object); err != nil {
				s.Errorf("take the webhooks away: %v", err)
			}
		})
	}
}

func (s *story) make(object client.Object) {
	s.Helper()
	if err := s.Create(s.Context(), object); err != nil {
		s.Fatalf("create %T %s: %v", object, object.GetName(), err)
	}
}

// patience is how long the story waits for anything at all.
const patience = 2 * time.Minute

// until watches an object until it is as it should be.
func until[O client.Object](s *story, list client.ObjectList, name string, what string, holds func(O) bool) O {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	var last O
	for ctx.Err() == nil {
		events, err := s.Watch(ctx, list, client.MatchingFields{"metadata.name": name})
		if err != nil {
			s.Fatal(err)
		}
		for event := range events.ResultChan() { // ends when the API server reloads a definition
			object, ok := event.Object.(O)
			if !ok || event.Type == watch.Deleted || object.GetNamespace() != "" && object.GetNamespace() != s.namespace {
				continue
			}
			if last = object; holds(object) {
				events.Stop()
				return object
			}
		}
		events.Stop()
	}
	s.Fatalf("%s is never %s: %+v", name, what, last)
	return last
}

func (s *story) machine(what string, holds func(*v1alpha2.VirtualMachine) bool) *v1alpha2.VirtualMachine {
	s.Helper()
	return until(s, &v1alpha2.VirtualMachineList{}, "web", what, holds)
}

func (s *story) phase(want v1alpha2.MachinePhase) *v1alpha2.VirtualMachine {
	s.Helper()
	return s.machine(string(want), func(vm *v1alpha2.VirtualMachine) bool { return vm.Status.Phase == want })
}

func (s *story) reason(conditionType, want string) *v1alpha2.VirtualMachine {
	s.Helper()
	return s.machine(conditionType+" "+want, func(vm *v1alpha2.VirtualMachine) bool {
		c := meta.FindStatusCondition(vm.Status.Conditions, conditionType)
		return c != nil && c.Reason == want
	})
}

// obey plays KubeVirt: it waits for requests, does them, and gives the instance
// that runs in the end, nil for none.
func (s *story) obey() *kubevirtv1.VirtualMachineInstance {
	s.Helper()
	engine := until(s, &kubevirtv1.VirtualMachineList{}, "web", "asked for anything", func(e *kubevirtv1.VirtualMachine) bool {
		return len(e.Status.StateChangeRequests) > 0
	})
	var instance *kubevirtv1.VirtualMachineInstance
	status := kubevirtv1.VirtualMachineStatusStopped
	for _, request := range engine.Status.StateChangeRequests {
		if request.Action == kubevirtv1.StopRequest {
			s.stopInstance(*request.UID)
			continue
		}
		instance, status = s.launch(engine), kubevirtv1.VirtualMachineStatusRunning
	}
	s.report(engine, func() { engine.Status.PrintableStatus = status })
	if instance == nil {
		s.phase(v1alpha2.MachineStopped) // KubeVirt takes a request back at times when everybody has seen the end of the instance
	}
	s.report(engine, func() { engine.Status.StateChangeRequests = nil })
	return instance
}

func (s *story) report(engine *kubevirtv1.VirtualMachine, change func()) {
	s.Helper()
	before := engine.DeepCopy()
	change()
	if err := s.Status().Patch(s.Context(), engine, client.MergeFrom(before)); err != nil {
		s.Fatal(err)
	}
}

func (s *story) stopInstance(uid types.UID) {
	s.Helper()
	instance := &kubevirtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web"}}
	if err := s.Delete(s.Context(), instance, client.Preconditions{UID: &uid}); err != nil {
		s.Fatal(err)
	}
}

func (s *story) launch(engine *kubevirtv1.VirtualMachine) *kubevirtv1.VirtualMachineInstance {
	s.Helper()
	instance := &kubevirtv1.VirtualMachineInstance{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: "web", Labels: engine.Spec.Template.ObjectMeta.Labels, Annotations: engine.Spec.Template.ObjectMeta.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(engine, kubevirtv1.VirtualMachineGroupVersionKind)},
		},
		Spec: engine.Spec.Template.Spec,
	}
	s.make(instance)
	instance.Status.Phase, instance.Status.NodeName = kubevirtv1.Running, "here"
	if err := s.Status().Update(s.Context(), instance); err != nil {
		s.Fatal(err)
	}
	return instance
}

// disk makes a disk that is ready and given to the machine.
func (s *story) disk(name string) {
	s.Helper()
	disk := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name}}
	size := resource.MustParse("1Gi")
	disk.Spec.PersistentVolumeClaim.Size = &size
	s.make(disk)
	disk.Status = v1alpha2.VirtualDiskStatus{
		Phase: v1alpha2.DiskReady, Capacity: "1Gi", Target: v1alpha2.DiskTarget{PersistentVolumeClaimName: "claim-" + name},
		AttachedToVirtualMachines: []v1alpha2.AttachedVirtualMachine{{Name: "web", Mounted: true}},
	}
	if err := s.Status().Update(s.Context(), disk); err != nil {
		s.Fatal(err)
	}
}

func (s *story) operate(name string, kind v1alpha2.OperationType) {
	s.Helper()
	s.make(&v1alpha2.VirtualMachineOperation{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Spec:       v1alpha2.VirtualMachineOperationSpec{Type: kind, VirtualMachineName: "web"},
	})
}

func (s *story) completed(name string) {
	s.Helper()
	until(s, &v1alpha2.VirtualMachineOperationList{}, name, "completed", func(op *v1alpha2.VirtualMachineOperation) bool {
		return op.Status.Phase == v1alpha2.OperationCompleted
	})
}

func (s *story) edit(edit func(*v1alpha2.VirtualMachine)) {
	s.Helper()
	if err := s.try(edit); err != nil {
		s.Fatal(err)
	}
}

// try edits the machine, and gives what the API server says about it.
func (s *story) try(edit func(*v1alpha2.VirtualMachine)) error {
	s.Helper()
	vm := &v1alpha2.VirtualMachine{}
	if err := s.Get(s.Context(), client.ObjectKey{Namespace: s.namespace, Name: "web"}, vm); err != nil {
		s.Fatal(err)
	}
	before := vm.DeepCopy()
	edit(vm)
	return s.Patch(s.Context(), vm, client.MergeFrom(before))
}

// gone watches until an object is no more.
func gone(s *story, list client.ObjectList, name string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	if err := s.List(ctx, list, client.InNamespace(s.namespace), client.MatchingFields{"metadata.name": name}); err != nil {
		s.Fatal(err)
	}
	if meta.LenList(list) == 0 {
		return
	}
	events, err := s.Watch(ctx, list, client.InNamespace(s.namespace), client.MatchingFields{"metadata.name": name},
		&client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}})
	if err != nil {
		s.Fatal(err)
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		if event.Type == watch.Deleted {
			return
		}
	}
	s.Fatalf("%s stays", name)
}

// TestStory tells the life of one machine: it waits for its disk, runs, gets more
// cores by an approved restart, is stopped by hand and stays so, is started
// again, and goes.
func TestStory(t *testing.T) {
	s := begin(t)
	generic := until(s, &v1alpha2.VirtualMachineClassList{}, "generic", "ready", func(c *v1alpha2.VirtualMachineClass) bool {
		return c.Status.Phase == v1alpha2.ClassReady
	})
	before := generic.DeepCopy()
	generic.Annotations = map[string]string{annotations.DefaultClass: "true"}
	if err := s.Patch(t.Context(), generic, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}

	s.make(&v1alpha2.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "web", Labels: map[string]string{"app": "web"}},
		Spec: v1alpha2.VirtualMachineSpec{
			CPU: v1alpha2.CPUSpec{Cores: 1}, Memory: v1alpha2.MemorySpec{Size: resource.MustParse("256Mi")},
			BlockDeviceRefs: []v1alpha2.BlockDeviceSpecRef{{Kind: v1alpha2.DiskDevice, Name: "root"}},
		},
	})
	vm := s.reason("BlockDevicesReady", "BlockDevicesNotReady")
	if vm.Spec.VirtualMachineClassName != "generic" || vm.Spec.RunPolicy != v1alpha2.AlwaysOnUnlessStoppedManually {
		t.Errorf("the machine was not defaulted: %+v", vm.Spec)
	}
	s.disk("root")
	first := s.obey()
	vm = s.phase(v1alpha2.MachineRunning)
	if first.Labels["app"] != "web" || vm.Status.IPAddress == "" || vm.Status.NodeName != "here" {
		t.Errorf("labels %v, status %+v", first.Labels, vm.Status)
	}

	s.edit(func(vm *v1alpha2.VirtualMachine) { vm.Spec.CPU.Cores = 2 })
	s.reason("AwaitingRestartToApplyConfiguration", "ChangesPendingRestart")
	s.operate("restart", v1alpha2.OperationRestart)
	if second := s.obey(); second.Spec.Domain.CPU.Cores != 2 {
		t.Errorf("the guest has %d cores after the restart", second.Spec.Domain.CPU.Cores)
	}
	s.completed("restart")
	s.phase(v1alpha2.MachineRunning)
	s.reason("ConfigurationApplied", "ConfigurationApplied")

	s.operate("stop", v1alpha2.OperationStop)
	s.obey()
	s.completed("stop")
	s.phase(v1alpha2.MachineStopped)

	if err := s.try(func(vm *v1alpha2.VirtualMachine) {
		vm.Spec.BlockDeviceRefs = append(vm.Spec.BlockDeviceRefs, vm.Spec.BlockDeviceRefs[0])
	}); !apierrors.IsForbidden(err) {
		t.Errorf("a disk that is named twice: %v", err)
	}
	s.operate("start", v1alpha2.OperationStart)
	s.obey()
	s.completed("start")
	vm = s.phase(v1alpha2.MachineRunning)

	if err := s.Delete(t.Context(), vm); err != nil {
		t.Fatal(err)
	}
	gone(s, &v1alpha2.VirtualMachineList{}, "web")
	gone(s, &v1alpha2.VirtualMachineIPAddressList{}, vm.Status.VirtualMachineIPAddressName)
}
