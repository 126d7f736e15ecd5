package admission

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/annotations"
	"slipway.dev/slipway/api/virtualization/v1alpha3"
)

// site is where the handlers are registered, and where the test plays the API
// server.
type site struct {
	t     *testing.T
	hooks map[string]http.Handler
}

func (s *site) Register(path string, hook http.Handler) { s.hooks[path] = hook }

func newSite(t *testing.T, objects ...client.Object) *site {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1alpha2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	s := &site{t: t, hooks: map[string]http.Handler{}}
	Register(s, scheme, fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build())
	return s
}

// review asks a handler about an object; old is nil for a creation.
func (s *site) review(path string, now, old client.Object) admission.Response {
	s.t.Helper()
	request := admissionv1.AdmissionRequest{UID: "review", Operation: admissionv1.Create, Object: s.raw(now)}
	if old != nil {
		request.Operation, request.OldObject = admissionv1.Update, s.raw(old)
	}
	body, err := json.Marshal(admissionv1.AdmissionReview{TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: &request})
	if err != nil {
		s.t.Fatal(err)
	}
	post := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	post.Header.Set("Content-Type", "application/json")
	recorder := httptest.NewRecorder()
	s.hooks[path].ServeHTTP(recorder, post)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &review); err != nil || review.Response == nil {
		s.t.Fatalf("answer %q: %v", recorder.Body, err)
	}
	return admission.Response{AdmissionResponse: *review.Response}
}

func (s *site) raw(object client.Object) runtime.RawExtension {
	s.t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		s.t.Fatal(err)
	}
	return runtime.RawExtension{Raw: text}
}

// refusal is the message of a refused review, empty for an allowed one.
func refusal(response admission.Response) string {
	if response.Allowed {
		return ""
	}
	return response.Result.Message
}

func machine(edit func(vm *v1alpha2.VirtualMachine)) *v1alpha2.VirtualMachine {
	vm := &v1alpha2.VirtualMachine{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha2.SchemeGroupVersion.String(), Kind: v1alpha2.VirtualMachineKind},
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec: v1alpha2.VirtualMachineSpec{
			VirtualMachineClassName: "generic", CPU: v1alpha2.CPUSpec{Cores: 2}, Memory: v1alpha2.MemorySpec{Size: resource.MustParse("1Gi")},
			BlockDeviceRefs: []v1alpha2.BlockDeviceSpecRef{{Kind: v1alpha2.DiskDevice, Name: "root"}},
		},
	}
	if edit != nil {
		edit(vm)
	}
	return vm
}

func class(name string, isDefault bool, policies ...v1alpha2.SizingPolicy) *v1alpha2.VirtualMachineClass {
	c := &v1alpha2.VirtualMachineClass{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha2.SchemeGroupVersion.String(), Kind: v1alpha2.VirtualMachineClassKind},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1alpha2.VirtualMachineClassSpec{CPU: v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeHost}, SizingPolicies: policies},
	}
	if isDefault {
		c.Annotations = map[string]string{annotations.DefaultClass: "true"}
	}
	return c
}

func small() v1alpha2.SizingPolicy {
	return v1alpha2.SizingPolicy{Cores: v1alpha2.SizingPolicyCores{Min: 1, Max: 4}, DefaultCoreFraction: ptr.To[v1alpha2.CoreFraction](20)}
}

func TestMachineIsDefaulted(t *testing.T) {
	tests := map[string]struct {
		edit    func(*v1alpha2.VirtualMachine)
		objects []client.Object
		want    map[string]any
	}{
		"nothing to fill": {objects: []client.Object{class("generic", false)}},
		"default class": {
			edit:    func(vm *v1alpha2.VirtualMachine) { vm.Spec.VirtualMachineClassName = "" },
			objects: []client.Object{class("generic", false), class("fast", true)},
			want:    map[string]any{"/spec/virtualMachineClassName": "fast"},
		},
		"no default class": {
			edit:    func(vm *v1alpha2.VirtualMachine) { vm.Spec.VirtualMachineClassName = "" },
			objects: []client.Object{class("generic", false)},
		},
		"core fraction of the class": {
			objects: []client.Object{class("generic", false, small())},
			want:    map[string]any{"/spec/cpu/coreFraction": "20%"},
		},
		"core fraction is named": {
			edit:    func(vm *v1alpha2.VirtualMachine) { vm.Spec.CPU.CoreFraction = "50%" },
			objects: []client.Object{class("generic", false, small())},
		},
		"network ids": {
			edit: func(vm *v1alpha2.VirtualMachine) {
				vm.Spec.Networks = []v1alpha2.NetworkSpec{
					{Type: v1alpha2.NetworkMain},
					{Type: v1alpha2.NetworkNamespaced, Name: "a"},
					{Type: v1alpha2.NetworkNamespaced, Name: "b", ID: ptr.To(2)},
					{Type: v1alpha2.NetworkCluster, Name: "c"},
				}
			},
			want: map[string]any{"/spec/networks/0/id": 1.0, "/spec/networks/1/id": 3.0, "/spec/networks/3/id": 4.0},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := newSite(t, test.objects...).review(mutatePath(machines), machine(test.edit), nil)
			if !response.Allowed {
				t.Fatal(refusal(response))
			}
			var patch []jsonpatch.Operation
			if len(response.Patch) > 0 {
				if err := json.Unmarshal(response.Patch, &patch); err != nil {
					t.Fatal(err)
				}
			}
			var got map[string]any
			for _, o := range patch {
				if got == nil {
					got = map[string]any{}
				}
				got[o.Path] = o.Value
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("patch (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMachineIsValidated(t *testing.T) {
	refs := func(refs ...v1alpha2.BlockDeviceSpecRef) func(*v1alpha2.VirtualMachine) {
		return func(vm *v1alpha2.VirtualMachine) { vm.Spec.BlockDeviceRefs = refs }
	}
	root, iso, plain := v1alpha2.BlockDeviceSpecRef{Kind: v1alpha2.DiskDevice, Name: "root"},
		v1alpha2.BlockDeviceSpecRef{Kind: v1alpha2.ImageDevice, Name: "iso"}, v1alpha2.BlockDeviceSpecRef{Kind: v1alpha2.ImageDevice, Name: "plain"}
	image := func(name string, cdrom bool) *v1alpha2.VirtualImage {
		return &v1alpha2.VirtualImage{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Status: v1alpha2.VirtualImageStatus{Phase: v1alpha2.ImageReady, CDROM: cdrom}}
	}
	networks := func(networks ...v1alpha2.NetworkSpec) func(*v1alpha2.VirtualMachine) {
		return func(vm *v1alpha2.VirtualMachine) { vm.Spec.Networks = networks }
	}
	address := &v1alpha2.VirtualMachineIPAddress{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
	tests := map[string]struct {
		edit    func(*v1alpha2.VirtualMachine)
		objects []client.Object
		// want is a field that the refusal names, empty when it is allowed.
		want    string
		warning string
	}{
		"allowed":          {objects: []client.Object{class("generic", false)}},
		"class is missing": {warning: `virtual machine class "generic" does not exist`},
		"long name":        {edit: func(vm *v1alpha2.VirtualMachine) { vm.Name = strings.Repeat("x", 64) }, want: "metadata.name"},
		"label of the engine": {
			edit: func(vm *v1alpha2.VirtualMachine) { vm.Labels = map[string]string{"kubevirt.io/nodeName": "x"} },
			want: "metadata.labels[kubevirt.io/nodeName]",
		},
		"annotation of the engine": {
			edit: func(vm *v1alpha2.VirtualMachine) { vm.Annotations = map[string]string{"hooks.kubevirt.io/x": "y"} },
			want: "metadata.annotations[hooks.kubevirt.io/x]",
		},
		"uneven cores":           {edit: func(vm *v1alpha2.VirtualMachine) { vm.Spec.CPU.Cores = 17 }, want: "spec.cpu.cores"},
		"no memory":              {edit: func(vm *v1alpha2.VirtualMachine) { vm.Spec.Memory.Size = resource.MustParse("0") }, want: "spec.memory.size"},
		"too large for class":    {edit: func(vm *v1alpha2.VirtualMachine) { vm.Spec.CPU.Cores = 8 }, objects: []client.Object{class("generic", false, small())}, want: "spec"},
		"device twice":           {edit: refs(root, root), want: "spec.blockDeviceRefs[1]"},
		"boot from an ISO":       {edit: refs(iso, root), objects: []client.Object{image("iso", true)}},
		"boot from no ISO":       {edit: refs(plain, root), objects: []client.Object{image("plain", false)}, want: "spec.blockDeviceRefs[0]"},
		"boot from what is not":  {edit: refs(plain, root)},
		"plain image second":     {edit: refs(root, plain), objects: []client.Object{image("plain", false)}},
		"address of its name":    {objects: []client.Object{address}, want: "spec.virtualMachineIPAddressName"},
		"address named":          {edit: func(vm *v1alpha2.VirtualMachine) { vm.Spec.VirtualMachineIPAddressName = "web" }, objects: []client.Object{address}},
		"main network second":    {edit: networks(v1alpha2.NetworkSpec{Type: v1alpha2.NetworkCluster, Name: "x"}, v1alpha2.NetworkSpec{Type: v1alpha2.NetworkMain}), want: "spec.networks[1]"},
		"main network named":     {edit: networks(v1alpha2.NetworkSpec{Type: v1alpha2.NetworkMain, Name: "x"}), want: "spec.networks[0].name"},
		"other network unnamed":  {edit: networks(v1alpha2.NetworkSpec{Type: v1alpha2.NetworkCluster}), want: "spec.networks[0].name"},
		"network id twice":       {edit: networks(v1alpha2.NetworkSpec{Type: v1alpha2.NetworkCluster, Name: "x", ID: ptr.To(2)}, v1alpha2.NetworkSpec{Type: v1alpha2.NetworkCluster, Name: "y", ID: ptr.To(2)}), want: "spec.networks[1].id"},
		"network id of the main": {edit: networks(v1alpha2.NetworkSpec{Type: v1alpha2.NetworkCluster, Name: "x", ID: ptr.To(1)}), want: "spec.networks[0].id"},
		"USB device twice": {
			edit: func(vm *v1alpha2.VirtualMachine) {
				vm.Spec.USBDevices = []v1alpha2.USBDeviceSpecRef{{Name: "x"}, {Name: "x"}}
			},
			want: "spec.usbDevices[1]",
		},
		"affinity without topology": {
			edit: func(vm *v1alpha2.VirtualMachine) {
				vm.Spec.Affinity = &v1alpha2.VMAffinity{VirtualMachineAndPodAffinity: &v1alpha2.VirtualMachineAndPodAffinity{
					RequiredDuringSchedulingIgnoredDuringExecution: []v1alpha2.VirtualMachineAndPodAffinityTerm{{}},
				}}
			},
			want: "spec.affinity.virtualMachineAndPodAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey",
		},
		"affinity with a bad selector": {
			edit: func(vm *v1alpha2.VirtualMachine) {
				vm.Spec.Affinity = &v1alpha2.VMAffinity{VirtualMachineAndPodAntiAffinity: &v1alpha2.VirtualMachineAndPodAntiAffinity{
					PreferredDuringSchedulingIgnoredDuringExecution: []v1alpha2.WeightedVirtualMachineAndPodAffinityTerm{{
						Weight: 1, VirtualMachineAndPodAffinityTerm: v1alpha2.VirtualMachineAndPodAffinityTerm{
							TopologyKey: "zone", LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"bad key": "x"}},
						},
					}},
				}}
			},
			want: "labelSelector",
		},
		"node affinity with a bad operator": {
			edit: func(vm *v1alpha2.VirtualMachine) {
				vm.Spec.Affinity = &v1alpha2.VMAffinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
					NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "zone", Operator: "Is"}}}},
				}}}
			},
			want: "matchExpressions[0].operator",
		},
		"spread over nothing": {
			edit: func(vm *v1alpha2.VirtualMachine) {
				vm.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, WhenUnsatisfiable: corev1.DoNotSchedule}}
			},
			want: "spec.topologySpreadConstraints[0].topologyKey",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := newSite(t, test.objects...).review(validatePath(machines), machine(test.edit), nil)
			got := refusal(response)
			if (test.want == "") != response.Allowed || !strings.Contains(got, test.want) {
				t.Errorf("refusal %q, want one about %q", got, test.want)
			}
			if warned := strings.Join(response.Warnings, " "); !strings.Contains(warned, test.warning) {
				t.Errorf("warnings %q, want %q", warned, test.warning)
			}
		})
	}
}

func TestMachineUpdates(t *testing.T) {
	bad := func(vm *v1alpha2.VirtualMachine) { vm.Spec.CPU.Cores = 17 }
	engineKey := func(vm *v1alpha2.VirtualMachine) { vm.Labels = map[string]string{"kubevirt.io/x": "y"} }
	tests := map[string]struct {
		old, now func(*v1alpha2.VirtualMachine)
		allowed  bool
	}{
		"bookkeeping on what was admitted before": {old: bad, now: func(vm *v1alpha2.VirtualMachine) { bad(vm); vm.Finalizers = []string{"x/y"} }, allowed: true},
		"change for the worse":                    {now: bad},
		"deletion goes on": {
			now: func(vm *v1alpha2.VirtualMachine) { bad(vm); vm.DeletionTimestamp = ptr.To(metav1.Now()) }, allowed: true,
		},
		"label of the engine": {now: engineKey},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := newSite(t).review(validatePath(machines), machine(test.now), machine(test.old))
			if response.Allowed != test.allowed {
				t.Errorf("allowed %t: %s", response.Allowed, refusal(response))
			}
		})
	}
}

func TestOtherKinds(t *testing.T) {
	disk := func(phase v1alpha2.DiskPhase, size, source string) *v1alpha2.VirtualDisk {
		d := &v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "d"}, Status: v1alpha2.VirtualDiskStatus{Phase: phase, Capacity: "5Gi"}}
		if size != "" {
			d.Spec.PersistentVolumeClaim.Size = ptr.To(resource.MustParse(size))
		}
		if source != "" {
			d.Spec.DataSource = &v1alpha2.VirtualDiskDataSource{Type: "ObjectRef", ObjectRef: &v1alpha2.VirtualDiskObjectRef{Kind: "VirtualImage", Name: source}}
		}
		return d
	}
	image := func(name string, phase v1alpha2.ImagePhase, source string) *v1alpha2.VirtualImage {
		return &v1alpha2.VirtualImage{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
			Spec:       v1alpha2.VirtualImageSpec{DataSource: v1alpha2.VirtualImageDataSource{Type: v1alpha2.DataSourceType(source)}},
			Status:     v1alpha2.VirtualImageStatus{Phase: phase},
		}
	}
	clusterImage := func(name string, phase v1alpha2.ImagePhase, source string) *v1alpha2.ClusterVirtualImage {
		return &v1alpha2.ClusterVirtualImage{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       v1alpha2.ClusterVirtualImageSpec{DataSource: v1alpha2.ClusterVirtualImageDataSource{Type: v1alpha2.DataSourceType(source)}},
			Status:     v1alpha2.ClusterVirtualImageStatus{Phase: phase},
		}
	}
	address := func(kind v1alpha2.VirtualMachineIPAddressType, ip, has string) *v1alpha2.VirtualMachineIPAddress {
		return &v1alpha2.VirtualMachineIPAddress{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "a"}, Spec: v1alpha2.VirtualMachineIPAddressSpec{Type: kind, StaticIP: ip},
			Status: v1alpha2.VirtualMachineIPAddressStatus{Address: has},
		}
	}
	lease := func(name string, ref *v1alpha2.AddressRef) *v1alpha2.VirtualMachineIPAddressLease {
		return &v1alpha2.VirtualMachineIPAddressLease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha2.VirtualMachineIPAddressLeaseSpec{VirtualMachineIPAddressRef: ref}}
	}
	cores := func(from, to int) v1alpha2.SizingPolicy {
		return v1alpha2.SizingPolicy{Cores: v1alpha2.SizingPolicyCores{Min: from, Max: to}}
	}
	oddDefault := cores(1, 4)
	oddDefault.CoreFractions, oddDefault.DefaultCoreFraction = []v1alpha2.CoreFraction{50}, ptr.To[v1alpha2.CoreFraction](20)
	oddMemory := cores(1, 4)
	oddMemory.Memory = &v1alpha2.SizingPolicyMemory{Min: ptr.To(resource.MustParse("2Gi")), Max: ptr.To(resource.MustParse("1Gi"))}
	iso := image("iso", v1alpha2.ImageReady, "HTTP")
	iso.Status.CDROM = true
	const ready, pending = v1alpha2.DiskReady, v1alpha2.DiskPending
	tests := map[string]struct {
		kind    kind
		old     client.Object
		now     client.Object
		objects []client.Object
		want    string
	}{
		"blank disk":                         {kind: disks, now: disk("", "1Gi", "")},
		"blank disk without a size":          {kind: disks, now: disk("", "", ""), want: "spec.persistentVolumeClaim.size"},
		"disk of no size":                    {kind: disks, now: disk("", "0", ""), want: "spec.persistentVolumeClaim.size"},
		"disk from an image that is not yet": {kind: disks, now: disk("", "", "image")},
		"disk from an ISO":                   {kind: disks, now: disk("", "", "iso"), objects: []client.Object{iso}, want: "spec.dataSource.objectRef.name"},
		"disk with a dot":                    {kind: disks, now: func() client.Object { d := disk("", "1Gi", ""); d.Name = "a.b"; return d }(), want: "metadata.name"},
		"disk with the longest name":         {kind: disks, now: func() client.Object { d := disk("", "1Gi", ""); d.Name = strings.Repeat("x", 60); return d }()},
		"disk with a long name":              {kind: disks, now: func() client.Object { d := disk("", "1Gi", ""); d.Name = strings.Repeat("x", 61); return d }(), want: "metadata.name"},
		"disk grows":                         {kind: disks, old: disk(ready, "5Gi", ""), now: disk(ready, "6Gi", "")},
		"disk shrinks":                       {kind: disks, old: disk(ready, "5Gi", ""), now: disk(ready, "4Gi", ""), want: "spec.persistentVolumeClaim.size"},
		"disk gets less than it has":         {kind: disks, old: disk(ready, "", "image"), now: disk(ready, "4Gi", "image"), want: "spec.persistentVolumeClaim.size"},
		"disk that is not yet made shrinks":  {kind: disks, old: disk(pending, "5Gi", ""), now: disk(pending, "4Gi", "")},
		"source of a ready disk":             {kind: disks, old: disk(ready, "5Gi", "one"), now: disk(ready, "5Gi", "two"), want: "spec.dataSource"},
		"source of a pending disk":           {kind: disks, old: disk(pending, "5Gi", "one"), now: disk(pending, "5Gi", "two")},

		"image":                         {kind: images, now: image("i", "", "HTTP")},
		"image with the longest name":   {kind: images, now: image(strings.Repeat("x", 49), "", "HTTP")},
		"image with a long name":        {kind: images, now: image(strings.Repeat("x", 50), "", "HTTP"), want: "metadata.name"},
		"image with a dot":              {kind: images, now: image("a.b", "", "HTTP"), want: "metadata.name"},
		"ready image":                   {kind: images, old: image("i", v1alpha2.ImageReady, "HTTP"), now: image("i", v1alpha2.ImageReady, "Upload"), want: "spec"},
		"pending image":                 {kind: images, old: image("i", v1alpha2.ImagePending, "HTTP"), now: image("i", v1alpha2.ImagePending, "Upload")},
		"cluster image with a dot":      {kind: clusterImages, now: clusterImage("a.b", "", "HTTP")},
		"cluster image, longest name":   {kind: clusterImages, now: clusterImage(strings.Repeat("x", 48), "", "HTTP")},
		"cluster image with long name":  {kind: clusterImages, now: clusterImage(strings.Repeat("x", 49), "", "HTTP"), want: "metadata.name"},
		"ready cluster image":           {kind: clusterImages, old: clusterImage("i", v1alpha2.ImageReady, "HTTP"), now: clusterImage("i", v1alpha2.ImageReady, "Upload"), want: "spec"},
		"auto address":                  {kind: addresses, now: address("Auto", "", "")},
		"auto address with an IP":       {kind: addresses, now: address("Auto", "10.0.0.1", ""), want: "spec.staticIP"},
		"static address":                {kind: addresses, now: address("Static", "10.0.0.1", "")},
		"static address without an IP":  {kind: addresses, now: address("Static", "", ""), want: "spec.staticIP"},
		"static address with no IP":     {kind: addresses, now: address("Static", "ten", ""), want: "spec.staticIP"},
		"static address moves":          {kind: addresses, old: address("Static", "10.0.0.1", ""), now: address("Static", "10.0.0.2", ""), want: "spec.staticIP"},
		"auto becomes static":           {kind: addresses, old: address("Auto", "", "10.0.0.1"), now: address("Static", "10.0.0.1", "10.0.0.1")},
		"auto becomes static and moves": {kind: addresses, old: address("Auto", "", "10.0.0.1"), now: address("Static", "10.0.0.2", "10.0.0.1"), want: "spec.staticIP"},
		"lease":                         {kind: leases, now: lease("ip-10-0-0-1", &v1alpha2.AddressRef{Name: "a", Namespace: "b"})},
		"lease with another name":       {kind: leases, now: lease("mine", &v1alpha2.AddressRef{Name: "a", Namespace: "b"}), want: "metadata.name"},
		"lease of nobody":               {kind: leases, now: lease("ip-10-0-0-1", nil), want: "spec.virtualMachineIPAddressRef"},

		"class":                        {kind: classes, now: class("c", false, cores(1, 4), cores(5, 8))},
		"class with overlap":           {kind: classes, now: class("c", false, cores(1, 4), cores(4, 8)), want: "spec.sizingPolicies[1].cores"},
		"class with an odd default":    {kind: classes, now: class("c", false, oddDefault), want: "spec.sizingPolicies[0].defaultCoreFraction"},
		"class with odd memory":        {kind: classes, now: class("c", false, oddMemory), want: "spec.sizingPolicies[0].memory.max"},
		"first default class":          {kind: classes, now: class("c", true), objects: []client.Object{class("other", false)}},
		"second default class":         {kind: classes, now: class("c", true), objects: []client.Object{class("other", true)}, want: "metadata.annotations"},
		"class becomes second default": {kind: classes, old: class("c", false), now: class("c", true), objects: []client.Object{class("other", true)}, want: "metadata.annotations"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := newSite(t, test.objects...).review(validatePath(test.kind), test.now, test.old)
			if got := refusal(response); (test.want == "") != response.Allowed || !strings.Contains(got, test.want) {
				t.Errorf("refusal %q, want one about %q", got, test.want)
			}
		})
	}
}

// TestConfigurations checks that the API server is told of what is registered,
// and of nothing else.
func TestConfigurations(t *testing.T) {
	s := newSite(t)
	mutating, validating := Configurations(Endpoint{BaseURL: "https://127.0.0.1:9443", CABundle: []byte("ca")})
	told := []string{}
	for _, w := range mutating.Webhooks {
		told = append(told, strings.TrimPrefix(*w.ClientConfig.URL, "https://127.0.0.1:9443"))
	}
	for _, w := range validating.Webhooks {
		told = append(told, strings.TrimPrefix(*w.ClientConfig.URL, "https://127.0.0.1:9443"))
		if *w.FailurePolicy != "Fail" || w.Rules[0].APIGroups[0] != v1alpha2.GroupName {
			t.Errorf("webhook %s: %+v", w.Name, w)
		}
	}
	told = append(told, strings.TrimPrefix(*Conversion(Endpoint{BaseURL: "https://127.0.0.1:9443"}).Webhook.ClientConfig.URL, "https://127.0.0.1:9443"))
	registered := []string{}
	for path := range s.hooks {
		registered = append(registered, path)
	}
	sort.Strings(told)
	sort.Strings(registered)
	if diff := cmp.Diff(registered, told); diff != "" {
		t.Errorf("paths (-registered +told):\n%s", diff)
	}
	_, inCluster := Configurations(Endpoint{ServiceNamespace: "ns", ServiceName: "svc", ServicePort: 443})
	if service := inCluster.Webhooks[0].ClientConfig.Service; service == nil || *service.Path != "/validate-virtualization-deckhouse-io-v1alpha2-virtualmachine" {
		t.Errorf("client config in a cluster: %+v", inCluster.Webhooks[0].ClientConfig)
	}
}

func TestConversion(t *testing.T) {
	s := newSite(t)
	older := class("c", false, small())
	body, err := json.Marshal(apiextensionsv1.ConversionReview{Request: &apiextensionsv1.ConversionRequest{
		UID: "one", DesiredAPIVersion: v1alpha3.SchemeGroupVersion.String(), Objects: []runtime.RawExtension{s.raw(older)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	s.hooks[conversionPath].ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, conversionPath, bytes.NewReader(body)))
	var review apiextensionsv1.ConversionReview
	if err := json.Unmarshal(recorder.Body.Bytes(), &review); err != nil || review.Response == nil || len(review.Response.ConvertedObjects) != 1 {
		t.Fatalf("answer %s: %v", recorder.Body, err)
	}
	converted := review.Response.ConvertedObjects[0].Raw
	if !bytes.Contains(converted, []byte(`"defaultCoreFraction":"20%"`)) {
		t.Errorf("converted to %s", converted)
	}
	back, err := convertClass(converted, v1alpha2.SchemeGroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	var again v1alpha2.VirtualMachineClass
	if err := json.Unmarshal(back, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(older.Spec, again.Spec); diff != "" {
		t.Errorf("there and back (-before +after):\n%s", diff)
	}
}

func TestConversionRefuses(t *testing.T) {
	response := answer(&apiextensionsv1.ConversionRequest{
		UID: "one", DesiredAPIVersion: "virtualization.deckhouse.io/v9", Objects: []runtime.RawExtension{{Raw: []byte(`{"apiVersion":"virtualization.deckhouse.io/v1alpha2"}`)}},
	})
	if response.Result.Status != metav1.StatusFailure || len(response.ConvertedObjects) > 0 {
		t.Errorf("answer %+v", response)
	}
}
