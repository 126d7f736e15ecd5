//go:build e2e

package fast

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	kubevirtv1 "kubevirt.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmcondition"
	"slipway.dev/slipway/config/rbac"
	"slipway.dev/slipway/reconcilers/address"
	"slipway.dev/slipway/reconcilers/class"
	"slipway.dev/slipway/reconcilers/machine"
	"slipway.dev/slipway/test/kubetest"
)

// chain is a namespace in which Slipway's controllers of machines work, with the rights that they have in a cluster. The
// test plays the user and, because there is no node, the scheduler and the disk.
type chain struct {
	*testing.T
	client    client.Client
	namespace string
}

// runMachine follows one machine from its spec to KubeVirt's pod and back to the module's phase.
func (p *plane) runMachine(t *testing.T) {
	c := p.startChain(t, func(manager ctrl.Manager) { addMachines(t, manager) })
	c.disk("root")
	vm := c.machine("web", "root")
	c.phase(vm, v1alpha2.MachineStarting)

	instance := &kubevirtv1.VirtualMachineInstance{}
	until(t, "KubeVirt made an instance", func(ctx context.Context) error {
		return c.client.Get(ctx, client.ObjectKeyFromObject(vm), instance)
	})
	pod := c.launcher(instance)
	if pod.Spec.Containers[0].Image != "localhost/virt-launcher:engine" {
		t.Errorf("the pod runs %s, want virt-launcher", pod.Spec.Containers[0].Image)
	}
	if got := pod.Annotations["cni.cilium.io/ipAddress"]; got != vm.Status.IPAddress || got == "" {
		t.Errorf("the pod asks the network for address %q, want the machine's, %q", got, vm.Status.IPAddress)
	}

	c.refuseToSchedule(pod)
	c.phase(vm, v1alpha2.MachinePending)

	c.patch(vm, `{"spec":{"runPolicy":"AlwaysOff"}}`)
	c.phase(vm, v1alpha2.MachineStopped)
	c.writesOnce(vm)
	c.heals(vm)
	must(t, c.client.Delete(t.Context(), vm))
	until(t, "KubeVirt's machine is gone", func(ctx context.Context) error {
		err := c.client.Get(ctx, client.ObjectKeyFromObject(vm), &kubevirtv1.VirtualMachine{})
		if err == nil {
			return fmt.Errorf("it is there")
		}
		return client.IgnoreNotFound(err)
	})
}

// installSlipway makes what Slipway's controllers work with.
func (p *plane) installSlipway(t *testing.T) {
	t.Helper()
	must(t, p.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: rbac.ControllerNamespace}}))
	p.node(t)
	must(t, p.applier.ApplyFiles(t.Context(), rbac.Controller))
}

// startChain runs controllers as their own service account until the test ends.
func (p *plane) startChain(t *testing.T, add func(manager ctrl.Manager)) *chain {
	t.Helper()
	config := rest.AnonymousClientConfig(p.config)
	ctrl.SetLogger(logr.Discard())
	config.BearerToken = p.token(t, account{rbac.ControllerNamespace, rbac.ControllerAccount})
	manager, err := ctrl.NewManager(config, ctrl.Options{Scheme: p.client.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"}})
	must(t, err)
	add(manager)
	runManager(t, manager)
	return &chain{T: t, client: p.client, namespace: kubetest.Namespace(t, p.client)}
}

func addMachines(t *testing.T, manager ctrl.Manager) {
	t.Helper()
	must(t, class.SetupWithManager(manager, class.Deps{Clock: clock.RealClock{}, Namespace: rbac.ControllerNamespace}))
	must(t, address.SetupWithManager(manager, address.Deps{Clock: clock.RealClock{}}))
	must(t, machine.SetupWithManager(manager, machine.Deps{Clock: clock.RealClock{}}))
}

// node tells of a node that KubeVirt could use.
func (p *plane) node(t *testing.T) {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node1", Labels: map[string]string{kubevirtv1.NodeSchedulable: "true"}}}
	must(t, p.client.Create(t.Context(), node))
	node.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	must(t, p.client.Status().Update(t.Context(), node))
}

func runManager(t *testing.T, manager ctrl.Manager) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run the controllers: %v", err)
		}
	})
}

// disk makes a disk that is ready: its claim is bound, and its status says so.
func (c *chain) disk(name string) {
	c.Helper()
	size := resource.MustParse("1Gi")
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "claim-" + name}}
	claim.Spec.AccessModes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	claim.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceStorage: size}
	claim.Spec.VolumeMode = ptr.To(corev1.PersistentVolumeFilesystem)
	must(c.T, c.client.Create(c.Context(), claim))
	claim.Status.Phase = corev1.ClaimBound
	must(c.T, c.client.Status().Update(c.Context(), claim))

	disk := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name}}
	disk.Spec.PersistentVolumeClaim.Size = &size
	must(c.T, c.client.Create(c.Context(), disk))
	disk.Status = v1alpha2.VirtualDiskStatus{
		Phase: v1alpha2.DiskReady, Capacity: "1Gi", Target: v1alpha2.DiskTarget{PersistentVolumeClaimName: claim.Name},
		AttachedToVirtualMachines: []v1alpha2.AttachedVirtualMachine{{Name: "web", Mounted: true}},
	}
	must(c.T, c.client.Status().Update(c.Context(), disk))
}

func (c *chain) machine(name, disk string) *v1alpha2.VirtualMachine {
	c.Helper()
	vm := &v1alpha2.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name},
		Spec: v1alpha2.VirtualMachineSpec{
			RunPolicy:               v1alpha2.AlwaysOnPolicy,
			VirtualMachineClassName: "generic",
			CPU:                     v1alpha2.CPUSpec{Cores: 2, CoreFraction: "20%"},
			Memory:                  v1alpha2.MemorySpec{Size: resource.MustParse("1Gi")},
			BlockDeviceRefs:         []v1alpha2.BlockDeviceSpecRef{{Kind: v1alpha2.DiskDevice, Name: disk}},
			Provisioning:            &v1alpha2.Provisioning{Type: v1alpha2.ProvisioningTypeUserData, UserData: "#cloud-config\n"},
		},
	}
	must(c.T, c.client.Create(c.Context(), vm))
	return vm
}

// phase waits until the module's machine is in a phase, and reads it.
func (c *chain) phase(vm *v1alpha2.VirtualMachine, want v1alpha2.MachinePhase) {
	c.Helper()
	until(c.T, fmt.Sprintf("the machine is %s", want), func(ctx context.Context) error {
		if err := c.client.Get(ctx, client.ObjectKeyFromObject(vm), vm); err != nil {
			return err
		}
		if vm.Status.Phase != want {
			return fmt.Errorf("phase %q, conditions %+v", vm.Status.Phase, vm.Status.Conditions)
		}
		return nil
	})
}

// writesOnce makes the controller look at the machine that is off once more: KubeVirt's defaults in its object are no
// drift, or it would be written for ever.
func (c *chain) writesOnce(vm *v1alpha2.VirtualMachine) {
	c.Helper()
	before := c.engine(vm)
	c.patch(vm, `{"spec":{"terminationGracePeriodSeconds":30}}`)
	until(c.T, "the change reached KubeVirt", func(context.Context) error {
		if got := c.engine(vm).Generation; got == before.Generation {
			return fmt.Errorf("generation %d", got)
		}
		return nil
	})
	changed := c.engine(vm)
	c.patch(vm, `{"metadata":{"annotations":{"note":"seen"}}}`)
	until(c.T, "the note reached KubeVirt", func(context.Context) error {
		if c.engine(vm).Spec.Template.ObjectMeta.Annotations["note"] != "seen" {
			return fmt.Errorf("no note")
		}
		return nil
	})
	if got := c.engine(vm).Generation - changed.Generation; got != 1 {
		c.Errorf("KubeVirt's machine was written %d times for one change", got)
	}
}

// heals asks for what KubeVirt refuses: the machine says so, and takes the correction.
func (c *chain) heals(vm *v1alpha2.VirtualMachine) {
	c.Helper()
	c.patch(vm, `{"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[`+
		`{"matchExpressions":[{"key":"zone","operator":"In"}]}]}}}}}`)
	c.applied(vm, metav1.ConditionFalse, "virtualmachine-validator.kubevirt.io")
	c.patch(vm, `{"spec":{"affinity":null}}`)
	c.applied(vm, metav1.ConditionTrue, "")
}

// applied waits until the machine says whether KubeVirt has its configuration, and why not.
func (c *chain) applied(vm *v1alpha2.VirtualMachine, want metav1.ConditionStatus, message string) {
	c.Helper()
	until(c.T, "the configuration's condition is "+string(want), func(ctx context.Context) error {
		if err := c.client.Get(ctx, client.ObjectKeyFromObject(vm), vm); err != nil {
			return err
		}
		condition := meta.FindStatusCondition(vm.Status.Conditions, vmcondition.ConfigurationAppliedType)
		if condition == nil || condition.Status != want || condition.ObservedGeneration != vm.Generation || !strings.Contains(condition.Message, message) {
			return fmt.Errorf("it is %+v", condition)
		}
		return nil
	})
}

func (c *chain) engine(vm *v1alpha2.VirtualMachine) *kubevirtv1.VirtualMachine {
	c.Helper()
	engine := &kubevirtv1.VirtualMachine{}
	must(c.T, c.client.Get(c.Context(), client.ObjectKeyFromObject(vm), engine))
	return engine
}

func (c *chain) patch(vm *v1alpha2.VirtualMachine, merge string) {
	c.Helper()
	must(c.T, c.client.Patch(c.Context(), vm, client.RawPatch(types.MergePatchType, []byte(merge))))
}

// launcher waits for the pod that KubeVirt makes for an instance.
func (c *chain) launcher(instance *kubevirtv1.VirtualMachineInstance) *corev1.Pod {
	c.Helper()
	var pods corev1.PodList
	until(c.T, "KubeVirt made a pod", func(ctx context.Context) error {
		err := c.client.List(ctx, &pods, client.InNamespace(instance.Namespace), client.MatchingLabels{kubevirtv1.CreatedByLabel: string(instance.UID)})
		if err == nil && len(pods.Items) != 1 {
			return fmt.Errorf("%d pods", len(pods.Items))
		}
		return err
	})
	return &pods.Items[0]
}

// refuseToSchedule says what a scheduler says when no node fits.
func (c *chain) refuseToSchedule(pod *corev1.Pod) {
	c.Helper()
	before := pod.DeepCopy()
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: "0/1 nodes are available",
	}}
	must(c.T, c.client.Status().Patch(c.Context(), pod, client.MergeFrom(before)))
}
