package node_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	snapshotv1 "github.com/kubernetes-csi/external-snapshotter/client/v8/apis/volumesnapshot/v1"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	virtv1 "kubevirt.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/local/node"
	"slipway.dev/slipway/local/node/crd"
	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/test/kubetest"
)

// sampleImage is the file that the Makefile names. Without it there is no guest to boot.
func sampleImage(t *testing.T) string {
	t.Helper()
	path := os.Getenv("SLIPWAY_SAMPLE_IMAGE")
	if path == "" {
		t.Skip("SLIPWAY_SAMPLE_IMAGE is not set: run `make test`, which builds the sample image and names it")
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("SLIPWAY_SAMPLE_IMAGE: %v", err)
	}
	return path
}

// world is an API server, DVCR with the sample image, and a node that can be stopped and started.
type world struct {
	*testing.T
	client    client.Client
	namespace string
	dir       string
	registry  *registry.Server
	node      *node.Node
	stop      func() // stops the controllers, and leaves guests alone
	signer    ssh.Signer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	cfg := kubetest.StartFS(t, crd.Files)
	c, err := client.New(cfg, client.Options{Scheme: scheme()})
	must(t, err)
	w := &world{T: t, client: c, namespace: kubetest.Namespace(t, c), dir: t.TempDir()}
	w.registry, err = registry.NewServer(registry.Config{Dir: filepath.Join(w.dir, "dvcr")})
	must(t, err)
	must(t, w.registry.Start())
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	w.signer, err = ssh.NewSignerFromKey(private)
	must(t, err)
	w.start()
	t.Cleanup(w.tearDown)
	return w
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(virtv1.AddToScheme(s))
	utilruntime.Must(cdiv1.AddToScheme(s))
	utilruntime.Must(snapshotv1.AddToScheme(s))
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// push stores a disk in DVCR and returns how a DataVolume names it.
func (w *world) push(name string, source disk.Source) string {
	w.Helper()
	repository, err := w.registry.Client().Repository("vi/default/" + name)
	must(w.T, err)
	_, err = disk.Push(context.Background(), source, repository, "v1", disk.PushOptions{})
	must(w.T, err)
	return w.reference(name)
}

func (w *world) reference(name string) string {
	return "docker://" + w.registry.Addr() + "/vi/default/" + name + ":v1"
}

func (w *world) pushSample(path string) string {
	w.Helper()
	file, err := os.Open(path)
	must(w.T, err)
	defer file.Close()
	stat, err := file.Stat()
	must(w.T, err)
	source, err := disk.OpenQCOW2(file, stat.Size())
	must(w.T, err)
	return w.push("sample", source)
}

// start runs a node on the directory, as a process that has just been started.
func (w *world) start() {
	w.Helper()
	credentials := w.registry.Credentials()
	n, err := node.New(context.Background(), node.Options{
		Dir: filepath.Join(w.dir, "node"), Name: "here", Grace: 60 * time.Second,
		Credentials: instance.Credentials{Host: w.registry.Addr(), Username: credentials.Username, Password: credentials.Password},
	})
	must(w.T, err)
	mgr, err := ctrl.NewManager(kubetest.StartFS(w.T, crd.Files), ctrl.Options{
		Scheme: scheme(), Metrics: metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)},
	})
	must(w.T, err)
	must(w.T, n.SetupWithManager(mgr))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	w.node = n
	w.stop = func() {
		cancel()
		if err := <-done; err != nil {
			w.Errorf("manager: %v", err)
		}
	}
}

func (w *world) tearDown() {
	w.stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if err := w.node.Shutdown(ctx); err != nil {
		w.Errorf("shut down: %v", err)
	}
	_ = w.registry.Close(context.Background())
	if w.Failed() {
		logs, _ := filepath.Glob(filepath.Join(w.dir, "node/instances/*/*.log"))
		for _, log := range logs {
			text, _ := os.ReadFile(log)
			w.Logf("%s:\n%s", filepath.Base(log), text[max(0, len(text)-3000):])
		}
	}
}

// patience bounds each wait. It is only used up by a test that fails.
const patience = 5 * time.Minute

// await watches one object until it is as wanted.
func await[O client.Object](w *world, object O, what string, wanted func(O) bool) O {
	w.Helper()
	deadline := time.After(patience)
	for {
		err := w.client.Get(context.Background(), client.ObjectKeyFromObject(object), object)
		if err == nil && wanted(object) {
			return object
		}
		select {
		case <-deadline:
			w.Fatalf("%T %s is not %s: %v\n%+v", object, object.GetName(), what, err, object)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (w *world) awaitGone(object client.Object) {
	w.Helper()
	deadline := time.After(patience)
	for {
		err := w.client.Get(context.Background(), client.ObjectKeyFromObject(object), object)
		if client.IgnoreNotFound(err) == nil && err != nil {
			return
		}
		select {
		case <-deadline:
			w.Fatalf("%T %s is still there: %v\n%+v", object, object.GetName(), err, object)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (w *world) dataVolume(name, size string, source cdiv1.DataVolumeSource) *cdiv1.DataVolume {
	w.Helper()
	dv := &cdiv1.DataVolume{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: cdiv1.DataVolumeSpec{Source: &source, Storage: &cdiv1.StorageSpec{
			Resources: corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)}},
		}},
	}
	must(w.T, w.client.Create(context.Background(), dv))
	return dv
}

// machine has a disk for each claim and user data that lets the test in.
func (w *world) machine(name string, strategy virtv1.VirtualMachineRunStrategy, claims ...string) *virtv1.VirtualMachine {
	w.Helper()
	return w.machineWith(name, strategy, func(spec *virtv1.VirtualMachineInstanceSpec) {
		for _, claim := range claims {
			addVolume(spec, "vd-"+claim, virtv1.VolumeSource{PersistentVolumeClaim: &virtv1.PersistentVolumeClaimVolumeSource{
				PersistentVolumeClaimVolumeSource: corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
			}})
		}
		userData := "#cloud-config\nssh_authorized_keys:\n  - " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(w.signer.PublicKey()))) +
			"\nruncmd:\n  - echo first boot >> /data/first\n"
		addVolume(spec, "cloudinit", virtv1.VolumeSource{CloudInitNoCloud: &virtv1.CloudInitNoCloudSource{UserData: userData}})
	})
}

func (w *world) machineWith(name string, strategy virtv1.VirtualMachineRunStrategy, devices func(*virtv1.VirtualMachineInstanceSpec)) *virtv1.VirtualMachine {
	w.Helper()
	spec := virtv1.VirtualMachineInstanceSpec{TerminationGracePeriodSeconds: ptr.To(int64(60))}
	spec.Domain.CPU = &virtv1.CPU{Cores: 1}
	spec.Domain.Resources.Requests = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")}
	spec.Domain.RebootPolicy = ptr.To(virtv1.RebootPolicyTerminate)
	spec.Domain.Devices.AutoattachGraphicsDevice = ptr.To(false)
	devices(&spec)
	vm := &virtv1.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name},
		Spec: virtv1.VirtualMachineSpec{RunStrategy: &strategy, Template: &virtv1.VirtualMachineInstanceTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{instance.AddressAnnotation: "10.66.10.7"}}, Spec: spec,
		}},
	}
	must(w.T, w.client.Create(context.Background(), vm))
	return vm
}

// addVolume adds a volume and its disk, as Slipway's machine controller does.
func addVolume(spec *virtv1.VirtualMachineInstanceSpec, name string, source virtv1.VolumeSource) {
	order := uint(len(spec.Volumes) + 1)
	spec.Volumes = append(spec.Volumes, virtv1.Volume{Name: name, VolumeSource: source})
	spec.Domain.Devices.Disks = append(spec.Domain.Devices.Disks, virtv1.Disk{
		Name: name, BootOrder: &order, DiskDevice: virtv1.DiskDevice{Disk: &virtv1.DiskTarget{Bus: virtv1.DiskBusSCSI}},
	})
}

func (w *world) request(vm *virtv1.VirtualMachine, actions ...virtv1.StateChangeRequestAction) {
	w.Helper()
	before := vm.DeepCopy()
	vm.Status.StateChangeRequests = nil
	for _, action := range actions {
		vm.Status.StateChangeRequests = append(vm.Status.StateChangeRequests, virtv1.VirtualMachineStateChangeRequest{Action: action})
	}
	must(w.T, w.client.Status().Patch(context.Background(), vm, client.MergeFrom(before)))
}

func (w *world) instanceOf(vm *virtv1.VirtualMachine) *virtv1.VirtualMachineInstance {
	return &virtv1.VirtualMachineInstance{ObjectMeta: metav1.ObjectMeta{Namespace: vm.Namespace, Name: vm.Name}}
}

// run runs a command in the guest, as soon as it answers. The command may run more than once.
func (w *world) run(vmi *virtv1.VirtualMachineInstance, command string) string {
	w.Helper()
	var out string
	w.repeat("guest of "+vmi.Name+" does not answer", func() (err error) {
		out, err = w.try(vmi, command)
		return err
	})
	return strings.TrimSpace(out)
}

// sees waits until a command in the guest prints what is wanted.
func (w *world) sees(vmi *virtv1.VirtualMachineInstance, command, want string) {
	w.Helper()
	w.repeat("guest of "+vmi.Name+" does not see the change", func() error {
		if out, err := w.try(vmi, command); err != nil || strings.TrimSpace(out) != want {
			return fmt.Errorf("%s: %q, %w; want %q", command, out, err, want)
		}
		return nil
	})
}

// ends runs a command that ends the guest until it has ended: whether an answer comes back before the end is chance.
func (w *world) ends(vmi *virtv1.VirtualMachineInstance, command string) {
	w.Helper()
	w.repeat("guest of "+vmi.Name+" goes on", func() error {
		if process(vmi) == 0 {
			return nil
		}
		_, err := w.try(vmi, command)
		return fmt.Errorf("still runs after %s: %w", command, err)
	})
}

func (w *world) repeat(complaint string, attempt func() error) {
	w.Helper()
	deadline := time.After(patience)
	for {
		err := attempt()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			w.Fatalf("%s: %v", complaint, err)
		case <-time.After(300 * time.Millisecond):
		}
	}
}

// try runs a command once, in bounded time.
func (w *world) try(vmi *virtv1.VirtualMachineInstance, command string) (string, error) {
	conn, err := net.Dial("tcp", vmi.Annotations[instance.SSHAnnotation])
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// QEMU takes connections before the guest does, and keeps them when the guest hangs.
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return "", err
	}
	c, channels, requests, err := ssh.NewClientConn(conn, vmi.Name, w.login(vmi))
	if err != nil {
		return "", err
	}
	client := ssh.NewClient(c, channels, requests)
	defer client.Close()
	session, err := client.NewSession()
	if err != nil {
		return "", err
	}
	out, err := session.CombinedOutput(command)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return string(out), nil
}

// login trusts the key that the guest's own console has told. The lists of algorithms are short: dropbear hangs up on long
// ones.
func (w *world) login(vmi *virtv1.VirtualMachineInstance) *ssh.ClientConfig {
	return &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(w.signer)},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			told := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
			console, err := os.ReadFile(filepath.Join(w.dir, "node/instances", string(vmi.UID), "console.log"))
			if err != nil || !strings.Contains(string(console), "host key "+told+"\r\n") {
				return fmt.Errorf("%s is not the key that the guest shows on its console: %w", told, err)
			}
			return nil
		},
		HostKeyAlgorithms: []string{ssh.KeyAlgoED25519},
		Config:            ssh.Config{KeyExchanges: []string{"curve25519-sha256"}, Ciphers: []string{"aes128-ctr"}, MACs: []string{"hmac-sha2-256"}},
	}
}

func printable(status virtv1.VirtualMachinePrintableStatus) func(*virtv1.VirtualMachine) bool {
	return func(vm *virtv1.VirtualMachine) bool { return vm.Status.PrintableStatus == status }
}

func running(vmi *virtv1.VirtualMachineInstance) bool { return vmi.Status.Phase == virtv1.Running }

func TestAMachineBootsFromAnImageAndKeepsItsData(t *testing.T) {
	sample := sampleImage(t)
	w := newWorld(t)
	image := w.pushSample(sample)
	w.dataVolume("root", "1Gi", cdiv1.DataVolumeSource{Registry: &cdiv1.DataVolumeSourceRegistry{URL: &image}})
	w.dataVolume("data", "64Mi", cdiv1.DataVolumeSource{Blank: &cdiv1.DataVolumeBlankImage{}})
	vm := w.machine("one", virtv1.RunStrategyManual, "root", "data")
	w.request(vm, virtv1.StartRequest)

	vmi := await(w, w.instanceOf(vm), "running", running)
	if got := w.run(vmi, "cat /data/boots /data/first; nproc; ip -4 -o addr show eth0 | awk '{print $4}'; cat /sys/block/sd*/size | sort -n | tail -n 2"); got != "1\nfirst boot\n1\n10.66.10.7/24\n131072\n2097152" {
		t.Errorf("guest says %q", got)
	}
	await(w, vmi, "connected to its agent", func(vmi *virtv1.VirtualMachineInstance) bool {
		return vmi.Status.GuestOSInfo.ID == "slipway-sample" && vmi.Status.Interfaces[0].InterfaceName == "eth0"
	})
	await(w, vm, "running", printable(virtv1.VirtualMachineStatusRunning))

	w.killedAndAdopted(vmi)
	w.grown(vmi)
	w.parked(vmi)
	w.restarted(vm, vmi)
	w.poweredOff(vm)
	w.deleted(vm)
}

// TestAnImageBootsByUEFIWithoutALastingDisk: an image of the registry as the system's disk, user data from a Secret, UEFI.
func TestAnImageBootsByUEFIWithoutALastingDisk(t *testing.T) {
	sample := sampleImage(t)
	w := newWorld(t)
	image := w.pushSample(sample)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "init"}, Data: map[string][]byte{"userData": []byte(
		"#!/bin/sh\nmkdir -p /root/.ssh\necho '" + string(ssh.MarshalAuthorizedKey(w.signer.PublicKey())) + "' > /root/.ssh/authorized_keys\n")}}
	vm := w.machineWith("uefi", virtv1.RunStrategyAlways, func(spec *virtv1.VirtualMachineInstanceSpec) {
		spec.Domain.Firmware = &virtv1.Firmware{Bootloader: &virtv1.Bootloader{EFI: &virtv1.EFI{SecureBoot: ptr.To(false)}}}
		addVolume(spec, "cvi-sample", virtv1.VolumeSource{ContainerDisk: &virtv1.ContainerDiskSource{Image: strings.TrimPrefix(image, "docker://")}})
		addVolume(spec, "cloudinit", virtv1.VolumeSource{CloudInitNoCloud: &virtv1.CloudInitNoCloudSource{UserDataSecretRef: &corev1.LocalObjectReference{Name: "init"}}})
	})
	await(w, w.instanceOf(vm), "waiting for its Secret", func(vmi *virtv1.VirtualMachineInstance) bool {
		return vmi.Status.Phase == virtv1.Pending
	})
	must(t, w.client.Create(context.Background(), secret))
	vmi := await(w, w.instanceOf(vm), "running", running)
	if got := w.run(vmi, "ls -d /sys/firmware/efi; hostname; cat /data/boots"); got != "/sys/firmware/efi\nuefi\n1" {
		t.Errorf("guest says %q", got)
	}
	must(t, w.client.Delete(context.Background(), vm))
	w.awaitGone(vm)
	for _, pattern := range []string{"images/*", "instances/*"} {
		if left, _ := filepath.Glob(filepath.Join(w.dir, "node", pattern)); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}

// killedAndAdopted: the controller dies, the guest does not notice, the next controller takes it over.
func (w *world) killedAndAdopted(vmi *virtv1.VirtualMachineInstance) {
	w.Helper()
	before := w.run(vmi, "cat /proc/sys/kernel/random/boot_id")
	w.stop()
	w.node.Detach()
	if after := w.run(vmi, "cat /proc/sys/kernel/random/boot_id"); after != before {
		w.Fatal("the guest was restarted while its controller was away")
	}
	w.start()
	await(w, vmi, "running with its agent", func(vmi *virtv1.VirtualMachineInstance) bool {
		return running(vmi) && vmi.Status.GuestOSInfo.ID != ""
	})
	if after := w.run(vmi, "cat /proc/sys/kernel/random/boot_id"); after != before {
		w.Error("the guest was restarted instead of being taken over")
	}
}

// grown: a larger claim is a larger disk in the running guest.
func (w *world) grown(vmi *virtv1.VirtualMachineInstance) {
	w.Helper()
	pvc := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "data"}}
	must(w.T, w.client.Get(context.Background(), client.ObjectKeyFromObject(pvc), pvc))
	before := pvc.DeepCopy()
	pvc.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("128Mi")
	must(w.T, w.client.Patch(context.Background(), pvc, client.MergeFrom(before)))
	await(w, pvc, "of the new capacity", func(pvc *corev1.PersistentVolumeClaim) bool {
		return pvc.Status.Capacity.Storage().Equal(resource.MustParse("128Mi"))
	})
	w.sees(vmi, "cat /sys/block/sd*/size | sort -n | tail -n 2", "262144\n2097152")
}

// parked: the node shuts down in good order, and the next one boots the guest again without anybody asking.
func (w *world) parked(vmi *virtv1.VirtualMachineInstance) {
	w.Helper()
	w.run(vmi, "echo kept > /data/kept; sync")
	w.stop()
	must(w.T, w.node.Shutdown(context.Background()))
	if pid := process(vmi); pid != 0 {
		w.Fatalf("process %d is left behind", pid)
	}
	w.start()
	if got := w.run(vmi, "cat /data/kept /data/boots"); got != "kept\n2" {
		w.Errorf("guest says %q after the node's restart", got)
	}
	uid := vmi.UID
	await(w, vmi, "running", running)
	if vmi.UID != uid {
		w.Error("a new instance was made for the node's restart")
	}
}

// restarted: a guest that reset itself is over under this policy, and a start makes a new instance on the same disk.
func (w *world) restarted(vm *virtv1.VirtualMachine, vmi *virtv1.VirtualMachineInstance) {
	w.Helper()
	w.ends(vmi, "reboot")
	await(w, vmi, "over after a reset", func(vmi *virtv1.VirtualMachineInstance) bool {
		return vmi.Status.Phase == virtv1.Succeeded && vmi.Status.Reason == "GuestReset"
	})
	await(w, vm, "stopped", printable(virtv1.VirtualMachineStatusStopped))
	first := vmi.UID
	w.request(vm, virtv1.StopRequest, virtv1.StartRequest)
	await(w, vmi, "new and running", func(vmi *virtv1.VirtualMachineInstance) bool { return vmi.UID != first && running(vmi) })
	if got := w.run(vmi, "cat /data/boots"); got != "3" {
		w.Errorf("boots %s, want 3", got)
	}
	await(w, vm, "settled", func(vm *virtv1.VirtualMachine) bool { return len(vm.Status.StateChangeRequests) == 0 })
}

// poweredOff: while the controller is away the guest powers itself off, which is found out afterwards.
func (w *world) poweredOff(vm *virtv1.VirtualMachine) {
	w.Helper()
	vmi := await(w, w.instanceOf(vm), "running", running)
	w.stop()
	w.node.Detach()
	w.ends(vmi, "poweroff")
	w.start()
	await(w, vmi, "over after a power-off", func(vmi *virtv1.VirtualMachineInstance) bool {
		return vmi.Status.Phase == virtv1.Succeeded && vmi.Status.Reason == "GuestShutdown"
	})
}

// deleted: machine, claims and files go, and the base image with the last of them.
func (w *world) deleted(vm *virtv1.VirtualMachine) {
	w.Helper()
	ctx := context.Background()
	must(w.T, w.client.Delete(ctx, vm))
	w.awaitGone(vm)
	for _, name := range []string{"root", "data"} {
		dv := &cdiv1.DataVolume{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
		must(w.T, w.client.Delete(ctx, dv))
		w.awaitGone(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}})
	}
	for _, pattern := range []string{"images/*", "volumes/*", "instances/*"} {
		if left, _ := filepath.Glob(filepath.Join(w.dir, "node", pattern)); len(left) > 0 {
			w.Errorf("left behind: %v", left)
		}
	}
	var volumes corev1.PersistentVolumeList
	must(w.T, w.client.List(ctx, &volumes))
	for _, pv := range volumes.Items {
		if pv.Spec.ClaimRef != nil && pv.Spec.ClaimRef.Namespace == w.namespace {
			w.Errorf("volume %s is left behind", pv.Name)
		}
	}
}

// process finds an instance's QEMU by the system's UUID on its command line.
func process(vmi *virtv1.VirtualMachineInstance) int {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		line, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(line), "-uuid\x00"+string(vmi.Spec.Domain.Firmware.UUID)+"\x00") {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		return pid
	}
	return 0
}

func kill(t *testing.T, vmi *virtv1.VirtualMachineInstance) {
	t.Helper()
	pid := process(vmi)
	if pid == 0 {
		t.Fatalf("no process of %s", vmi.Name)
	}
	must(t, syscall.Kill(pid, syscall.SIGKILL))
}
