package class

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmclasscondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

func newWorld(t *testing.T, singleNode string, objects ...client.Object) (client.Client, reconcile.Reconciler) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha2.VirtualMachineClass{}).
		WithIndex(&v1alpha2.VirtualMachine{}, machineIndex, classOfMachine).
		Build()
	clock := clocktesting.NewFakePassiveClock(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
	return c, reconciler(observer{client: c, singleNode: singleNode, clock: clock}, flow.Deps{Client: c, Recorder: &flowtest.Recorder{}, Clock: clock})
}

func node(name string, edit func(*corev1.Node), labels ...string) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubevirt.io/schedulable": "true"}},
		Status: corev1.NodeStatus{
			Conditions:  []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			Allocatable: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("4"), corev1.ResourceMemory: resource.MustParse("8Gi")},
		},
	}
	for _, l := range labels {
		n.Labels[l] = "true"
	}
	if edit != nil {
		edit(n)
	}
	return n
}

func newClass(cpu v1alpha2.ClassCPU) *v1alpha2.VirtualMachineClass {
	return &v1alpha2.VirtualMachineClass{ObjectMeta: metav1.ObjectMeta{Name: "c"}, Spec: v1alpha2.VirtualMachineClassSpec{CPU: cpu}}
}

func reasonOf(c *v1alpha2.VirtualMachineClass, conditionType string) string {
	condition := meta.FindStatusCondition(c.Status.Conditions, conditionType)
	if condition == nil {
		return ""
	}
	return string(condition.Status) + "/" + condition.Reason
}

func TestNodes(t *testing.T) {
	const found, none = "True/SuitableNodesFound", "False/NoSuitableNodesFound"
	host, model := v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeHost}, v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeModel, Model: "Nehalem"}
	features := v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeFeatures, Features: []string{"aes", "vmx"}}
	zone := func(value string) func(*corev1.Node) {
		return func(n *corev1.Node) { n.Labels["zone"] = value }
	}
	tests := map[string]struct {
		cpu        v1alpha2.ClassCPU
		selector   v1alpha2.ClassNodeSelector
		singleNode string
		nodes      []client.Object
		want       []string
		ready      string
	}{
		"one machine":              {cpu: model, singleNode: "here", want: []string{"here"}, ready: found},
		"no node":                  {cpu: model, ready: none},
		"nodes are sorted":         {cpu: host, nodes: []client.Object{node("b", nil), node("a", nil)}, want: []string{"a", "b"}, ready: found},
		"cordoned":                 {cpu: host, nodes: []client.Object{node("a", func(n *corev1.Node) { n.Spec.Unschedulable = true })}, ready: none},
		"not ready":                {cpu: host, nodes: []client.Object{node("a", func(n *corev1.Node) { n.Status.Conditions = nil })}, ready: none},
		"without KubeVirt":         {cpu: host, nodes: []client.Object{node("a", func(n *corev1.Node) { n.Labels = nil })}, ready: none},
		"labels":                   {cpu: host, selector: v1alpha2.ClassNodeSelector{MatchLabels: map[string]string{"zone": "x"}}, nodes: []client.Object{node("a", zone("x")), node("b", zone("y"))}, want: []string{"a"}, ready: found},
		"expressions":              {cpu: host, selector: v1alpha2.ClassNodeSelector{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: "NotIn", Values: []string{"x"}}}}, nodes: []client.Object{node("a", zone("x")), node("b", zone("y"))}, want: []string{"b"}, ready: found},
		"model of the node":        {cpu: model, nodes: []client.Object{node("a", nil, "cpu-model.node.kubevirt.io/Nehalem"), node("b", nil, "cpu-model.node.kubevirt.io/EPYC")}, want: []string{"a"}, ready: found},
		"model that nobody tells":  {cpu: model, nodes: []client.Object{node("a", nil)}, want: []string{"a"}, ready: found},
		"features of the node":     {cpu: features, nodes: []client.Object{node("a", nil, "cpu-feature.node.kubevirt.io/aes"), node("b", nil, "cpu-feature.node.kubevirt.io/aes", "cpu-feature.node.virtualization.deckhouse.io/vmx")}, want: []string{"b"}, ready: found},
		"discovery finds nothing":  {cpu: v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeDiscovery}, nodes: []client.Object{node("a", nil)}, want: []string{"a"}, ready: "False/NoCpuFeaturesEnabled"},
		"discovery finds a common": {cpu: v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeDiscovery}, nodes: []client.Object{node("a", nil, "cpu-feature.node.kubevirt.io/aes")}, want: []string{"a"}, ready: found},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			class := newClass(test.cpu)
			class.Spec.NodeSelector = test.selector
			c, r := newWorld(t, test.singleNode, append(test.nodes, class)...)
			flowtest.Settle(t, c, r, class, 4)
			if got := reasonOf(class, vmclasscondition.ReadyType); got != test.ready {
				t.Errorf("Ready is %s, want %s", got, test.ready)
			}
			if diff := cmp.Diff(test.want, class.Status.AvailableNodes); diff != "" {
				t.Errorf("nodes (-want +got):\n%s", diff)
			}
			wantPhase := v1alpha2.ClassPending
			if test.ready == found {
				wantPhase = v1alpha2.ClassReady
			}
			if class.Status.Phase != wantPhase {
				t.Errorf("phase %s, want %s", class.Status.Phase, wantPhase)
			}
		})
	}
}

func TestLargestNodeIsShown(t *testing.T) {
	large := func(n *corev1.Node) { n.Status.Allocatable[corev1.ResourceCPU] = resource.MustParse("32") }
	roomy := func(n *corev1.Node) { n.Status.Allocatable[corev1.ResourceMemory] = resource.MustParse("64Gi") }
	class := newClass(v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeHost})
	c, r := newWorld(t, "", class, node("a", large), node("b", roomy))
	flowtest.Settle(t, c, r, class, 4)
	most := class.Status.MaxAllocatableResources
	if most.Cpu().String() != "32" || most.Memory().String() != "64Gi" {
		t.Errorf("largest %v", most)
	}
}

func TestDiscovery(t *testing.T) {
	class := newClass(v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeDiscovery, Discovery: v1alpha2.CPUDiscovery{
		NodeSelector: metav1.LabelSelector{MatchLabels: map[string]string{"gold": "true"}},
	}})
	c, r := newWorld(t, "", class,
		node("a", nil, "gold", "cpu-feature.node.kubevirt.io/aes", "cpu-feature.node.kubevirt.io/vmx"),
		node("b", nil, "gold", "cpu-feature.node.kubevirt.io/aes"),
		node("c", nil, "cpu-feature.node.kubevirt.io/sse"))
	flowtest.Settle(t, c, r, class, 4)
	want := v1alpha2.CPUFeatures{Enabled: []string{"aes"}, NotEnabledCommon: []string{"vmx"}}
	if diff := cmp.Diff(want, class.Status.CPUFeatures); diff != "" {
		t.Errorf("features (-want +got):\n%s", diff)
	}
	if got := reasonOf(class, vmclasscondition.DiscoveredType); got != "True/DiscoverySucceeded" {
		t.Errorf("Discovered is %s", got)
	}
}

func TestClassInUseIsKept(t *testing.T) {
	class := newClass(v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeHost})
	vm := &v1alpha2.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: v1alpha2.VirtualMachineSpec{VirtualMachineClassName: "c"}}
	c, r := newWorld(t, "here", class, vm)
	flowtest.Settle(t, c, r, class, 4)
	if got := reasonOf(class, vmclasscondition.InUseType); got != "True/VirtualMachineClassInUse" {
		t.Errorf("InUse is %q", got)
	}
	if err := c.Delete(t.Context(), class); err != nil {
		t.Fatal(err)
	}
	flowtest.Settle(t, c, r, class, 4)
	if class.Status.Phase != v1alpha2.ClassTerminating {
		t.Errorf("phase %s", class.Status.Phase)
	}
	if err := c.Delete(t.Context(), vm); err != nil {
		t.Fatal(err)
	}
	if _, err := flowtest.Reconcile(t, c, r, class); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(class), class); !apierrors.IsNotFound(err) {
		t.Errorf("the class stays: %v", err)
	}
}

func TestGenericIsMadeOnce(t *testing.T) {
	c, _ := newWorld(t, "")
	g := &generic{client: c, reader: c, namespace: "kube-system"}
	made := &v1alpha2.VirtualMachineClass{}
	key := client.ObjectKey{Name: genericName}
	for range 2 {
		if err := g.ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := c.Get(t.Context(), key, made); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Delete(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	if err := g.ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), key, made); !apierrors.IsNotFound(err) {
		t.Errorf("the class came back after its owner deleted it: %v", err)
	}
}

// TestGenericSurvivesACut makes the class after a run that died before it wrote
// the marker.
func TestGenericSurvivesACut(t *testing.T) {
	edited := genericClass()
	edited.Labels["edited"] = "yes"
	c, _ := newWorld(t, "", edited)
	if err := (&generic{client: c, reader: c, namespace: "kube-system"}).ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	made := &v1alpha2.VirtualMachineClass{}
	if err := c.Get(t.Context(), client.ObjectKey{Name: genericName}, made); err != nil || made.Labels["edited"] != "yes" {
		t.Errorf("the class was overwritten: %v %v", made.Labels, err)
	}
}
