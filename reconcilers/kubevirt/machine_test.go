package kubevirt_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/kubevirt"
)

var update = flag.Bool("update", false, "write the golden files anew")

func input() kubevirt.Input {
	root := v1alpha2.BlockDeviceSpecRef{Kind: v1alpha2.DiskDevice, Name: "root"}
	return kubevirt.Input{
		Machine: &v1alpha2.VirtualMachine{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop", Name: "web", UID: "5d6c1e5e-0001",
				Labels: map[string]string{"app": "web", "gitops.slipway.dev/environment": "prod"},
				Annotations: map[string]string{
					"note": "hello", "kubectl.kubernetes.io/last-applied-configuration": "{}", "gitops.slipway.dev/applied-digest": "sha256:1",
				},
			},
			Spec: v1alpha2.VirtualMachineSpec{
				VirtualMachineClassName: "generic",
				CPU:                     v1alpha2.CPUSpec{Cores: 2, CoreFraction: "20%"},
				Memory:                  v1alpha2.MemorySpec{Size: resource.MustParse("1Gi")},
				BlockDeviceRefs:         []v1alpha2.BlockDeviceSpecRef{root},
			},
		},
		Class: &v1alpha2.VirtualMachineClass{
			ObjectMeta: metav1.ObjectMeta{Name: "generic"},
			Spec:       v1alpha2.VirtualMachineClassSpec{CPU: v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeModel, Model: "Nehalem"}},
		},
		Devices:   []kubevirt.Device{{Ref: root, UID: "5d6c1e5e-0002", ClaimName: "d8v-vd-root-5d6c1e5e-0002"}},
		IPAddress: "10.66.10.5",
	}
}

func TestVirtualMachineGolden(t *testing.T) {
	tests := map[string]func(in *kubevirt.Input){
		"minimal": func(*kubevirt.Input) {},
		"windows": func(in *kubevirt.Input) {
			spec := &in.Machine.Spec
			spec.OSType, spec.Bootloader = v1alpha2.Windows, v1alpha2.EFIWithSecureBoot
			spec.Provisioning = &v1alpha2.Provisioning{Type: v1alpha2.ProvisioningTypeSysprepRef, SysprepRef: &v1alpha2.SysprepRef{Kind: "Secret", Name: "answers"}}
			spec.TerminationGracePeriodSeconds = ptr.To[int64](300)
		},
		"no-paravirtualization": func(in *kubevirt.Input) {
			in.Machine.Spec.EnableParavirtualization = ptr.To(false)
			in.Machine.Spec.Provisioning = &v1alpha2.Provisioning{Type: v1alpha2.ProvisioningTypeUserData, UserData: "#cloud-config\n"}
		},
		"many-cores": func(in *kubevirt.Input) {
			in.Machine.Spec.CPU = v1alpha2.CPUSpec{Cores: 48}
			in.Class.Spec.CPU = v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeFeatures, Features: []string{"vmx", "invtsc"}}
			in.EndOnReset = true
		},
		"images": func(in *kubevirt.Input) {
			refs := []v1alpha2.BlockDeviceSpecRef{
				{Kind: v1alpha2.ClusterImageDevice, Name: "installer"},
				{Kind: v1alpha2.ImageDevice, Name: "tools"},
				{Kind: v1alpha2.ImageDevice, Name: "kept"},
				{Kind: v1alpha2.DiskDevice, Name: "root"},
			}
			in.Machine.Spec.BlockDeviceRefs = refs
			in.Machine.Spec.Provisioning = &v1alpha2.Provisioning{Type: v1alpha2.ProvisioningTypeUserDataRef, UserDataRef: &v1alpha2.UserDataRef{Kind: "Secret", Name: "init"}}
			in.Devices = []kubevirt.Device{
				{Ref: refs[0], UID: "1", Image: "dvcr.local/cvi/installer:1", CDROM: true, PullSecret: "pull"},
				{Ref: refs[1], UID: "2", Image: "dvcr.local/vi/shop/tools:2", PullSecret: "pull"},
				{Ref: refs[2], UID: "3", ClaimName: "d8v-vi-kept-3"},
				in.Devices[0],
			}
		},
		"placement": place,
	}
	for name, edit := range tests {
		t.Run(name, func(t *testing.T) {
			in := input()
			edit(&in)
			vm, err := kubevirt.VirtualMachine(in)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, name, vm)
		})
	}
}

func place(in *kubevirt.Input) {
	requirement := func(key string) corev1.NodeSelectorRequirement {
		return corev1.NodeSelectorRequirement{Key: key, Operator: corev1.NodeSelectorOpExists}
	}
	term := v1alpha2.VirtualMachineAndPodAffinityTerm{
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, TopologyKey: "kubernetes.io/hostname",
	}
	spec := &in.Machine.Spec
	spec.NodeSelector = map[string]string{"zone": "machine", "rack": "1"}
	spec.Tolerations = []corev1.Toleration{{Key: "both"}, {Key: "machine"}}
	spec.PriorityClassName = "high"
	spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule}}
	spec.Affinity = &v1alpha2.VMAffinity{
		NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{
			{MatchExpressions: []corev1.NodeSelectorRequirement{requirement("first")}},
			{MatchExpressions: []corev1.NodeSelectorRequirement{requirement("second")}},
		}}},
		VirtualMachineAndPodAffinity: &v1alpha2.VirtualMachineAndPodAffinity{
			PreferredDuringSchedulingIgnoredDuringExecution: []v1alpha2.WeightedVirtualMachineAndPodAffinityTerm{{Weight: 7, VirtualMachineAndPodAffinityTerm: term}},
		},
		VirtualMachineAndPodAntiAffinity: &v1alpha2.VirtualMachineAndPodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []v1alpha2.VirtualMachineAndPodAffinityTerm{term},
		},
	}
	in.Class.Spec.CPU = v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeDiscovery}
	in.Class.Status.CPUFeatures.Enabled = []string{"aes", "svm"}
	in.Class.Spec.NodeSelector = v1alpha2.ClassNodeSelector{
		MatchLabels: map[string]string{"zone": "class"}, MatchExpressions: []corev1.NodeSelectorRequirement{requirement("class")},
	}
	in.Class.Spec.Tolerations = []corev1.Toleration{{Key: "both"}, {Key: "class"}}
}

func compareGolden(t *testing.T, name string, object any) {
	t.Helper()
	got, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".yaml")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs, run with -update when that is right (-want +got):\n%s", path, diff)
	}
}

func TestVirtualMachineRefuses(t *testing.T) {
	tests := map[string]struct {
		edit  func(in *kubevirt.Input)
		field string
		kind  error
	}{
		"additional network": {
			edit: func(in *kubevirt.Input) {
				in.Machine.Spec.Networks = []v1alpha2.NetworkSpec{{Type: v1alpha2.NetworkMain}, {Type: v1alpha2.NetworkCluster, Name: "lan"}}
			},
			field: "spec.networks[1]", kind: kubevirt.ErrUnsupported,
		},
		"reserved MAC address": {
			edit: func(in *kubevirt.Input) {
				in.Machine.Spec.Networks = []v1alpha2.NetworkSpec{{Type: v1alpha2.NetworkMain, VirtualMachineMACAddressName: "mac"}}
			},
			field: "spec.networks[0].virtualMachineMACAddressName", kind: kubevirt.ErrUnsupported,
		},
		"USB device": {
			edit:  func(in *kubevirt.Input) { in.Machine.Spec.USBDevices = []v1alpha2.USBDeviceSpecRef{{Name: "key"}} },
			field: "spec.usbDevices", kind: kubevirt.ErrUnsupported,
		},
		"uneven cores": {
			edit:  func(in *kubevirt.Input) { in.Machine.Spec.CPU.Cores = 17 },
			field: "spec.cpu.cores", kind: kubevirt.ErrInvalid,
		},
		"core fraction": {
			edit:  func(in *kubevirt.Input) { in.Machine.Spec.CPU.CoreFraction = "0%" },
			field: "spec.cpu.coreFraction", kind: kubevirt.ErrInvalid,
		},
		"no memory": {
			edit:  func(in *kubevirt.Input) { in.Machine.Spec.Memory.Size = resource.MustParse("0") },
			field: "spec.memory.size", kind: kubevirt.ErrInvalid,
		},
		"name that is no volume name": {
			edit:  func(in *kubevirt.Input) { in.Devices[0].Ref.Name = "a.b" },
			field: "spec.blockDeviceRefs[0].name", kind: kubevirt.ErrInvalid,
		},
		"disk without a volume": {
			edit:  func(in *kubevirt.Input) { in.Devices[0].ClaimName = "" },
			field: "spec.blockDeviceRefs[0]", kind: kubevirt.ErrInvalid,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := input()
			test.edit(&in)
			_, err := kubevirt.VirtualMachine(in)
			var field *kubevirt.FieldError
			if !errors.As(err, &field) || field.Field != test.field || !errors.Is(err, test.kind) {
				t.Errorf("got %v, want a %q about %s", err, test.kind, test.field)
			}
		})
	}
}

func TestTopologyOf(t *testing.T) {
	tests := map[string]struct {
		cores   int32
		want    kubevirt.Topology
		refused bool
	}{
		"one":            {cores: 1, want: kubevirt.Topology{Sockets: 1, CoresPerSocket: 1}},
		"one full":       {cores: 16, want: kubevirt.Topology{Sockets: 1, CoresPerSocket: 16}},
		"two":            {cores: 18, want: kubevirt.Topology{Sockets: 2, CoresPerSocket: 9}},
		"two uneven":     {cores: 31, refused: true},
		"four":           {cores: 64, want: kubevirt.Topology{Sockets: 4, CoresPerSocket: 16}},
		"eight":          {cores: 72, want: kubevirt.Topology{Sockets: 8, CoresPerSocket: 9}},
		"eight uneven":   {cores: 68, refused: true},
		"none":           {cores: 0, refused: true},
		"less than none": {cores: -2, refused: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := kubevirt.TopologyOf(test.cores)
			if (err != nil) != test.refused {
				t.Fatalf("error %v, refused should be %t", err, test.refused)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("topology (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestedCPU(t *testing.T) {
	tests := map[string]struct {
		cpu  v1alpha2.CPUSpec
		want string
	}{
		"whole":   {cpu: v1alpha2.CPUSpec{Cores: 2}, want: "2"},
		"part":    {cpu: v1alpha2.CPUSpec{Cores: 3, CoreFraction: "5%"}, want: "150m"},
		"one per": {cpu: v1alpha2.CPUSpec{Cores: 1, CoreFraction: "1%"}, want: "10m"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := kubevirt.RequestedCPU(&v1alpha2.VirtualMachineSpec{CPU: test.cpu})
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != test.want {
				t.Errorf("got %s, want %s", got.String(), test.want)
			}
		})
	}
}
