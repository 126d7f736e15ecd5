package kubevirt_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/kubevirt"
)

var update = flag.Bool("update", false, "write the golden files anew")

// variants are what the builder is asked for. The objects that it makes of them
// are kept, and the engine's fast suite shows each to KubeVirt's own webhooks.
var variants = map[string]func(in *kubevirt.Input){
	"minimal": func(*kubevirt.Input) {},
	"efi":     func(in *kubevirt.Input) { in.Machine.Spec.Bootloader = v1alpha2.EFI },
	"efi-secure-boot": func(in *kubevirt.Input) {
		in.Machine.Spec.Bootloader = v1alpha2.EFIWithSecureBoot
	},
	"windows": func(in *kubevirt.Input) {
		spec := &in.Machine.Spec
		spec.OSType, spec.Bootloader = v1alpha2.Windows, v1alpha2.EFIWithSecureBoot
		spec.Provisioning = sysprep
		spec.TerminationGracePeriodSeconds = ptr.To[int64](300)
	},
	"windows-bios": func(in *kubevirt.Input) {
		in.Machine.Spec.OSType = v1alpha2.Windows
	},
	"windows-no-paravirtualization": func(in *kubevirt.Input) {
		spec := &in.Machine.Spec
		spec.OSType, spec.Bootloader, spec.EnableParavirtualization = v1alpha2.Windows, v1alpha2.EFI, ptr.To(false)
		spec.Provisioning = sysprep
	},
	"no-paravirtualization": func(in *kubevirt.Input) {
		in.Machine.Spec.EnableParavirtualization = ptr.To(false)
		in.Machine.Spec.Provisioning = &v1alpha2.Provisioning{Type: v1alpha2.ProvisioningTypeUserData, UserData: "#cloud-config\n"}
	},
	"cloud-init": func(in *kubevirt.Input) {
		in.Machine.Spec.Provisioning = &v1alpha2.Provisioning{Type: v1alpha2.ProvisioningTypeUserData, UserData: longUserData()}
	},
	"images":     images,
	"many-disks": manyDisks,
	"many-cores": func(in *kubevirt.Input) {
		in.Machine.Spec.CPU = v1alpha2.CPUSpec{Cores: 48}
		in.Class.Spec.CPU = v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeFeatures, Features: []string{"vmx", "invtsc"}}
	},
	"most-cores": func(in *kubevirt.Input) {
		in.Machine.Spec.CPU = v1alpha2.CPUSpec{Cores: 248, CoreFraction: "100%"}
		in.Machine.Spec.Memory.Size = resource.MustParse("1Ti")
	},
	"least": func(in *kubevirt.Input) {
		in.Machine.Spec.CPU = v1alpha2.CPUSpec{Cores: 1, CoreFraction: "1%"}
		in.Machine.Spec.Memory.Size = resource.MustParse("64Mi")
		in.Machine.Spec.TerminationGracePeriodSeconds = ptr.To[int64](0)
	},
	"odd-sizes": func(in *kubevirt.Input) {
		in.Machine.Spec.CPU = v1alpha2.CPUSpec{Cores: 3, CoreFraction: "7%"}
		in.Machine.Spec.Memory.Size = resource.MustParse("1000000001")
	},
	"class-host":             class(v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeHost}),
	"class-host-passthrough": class(v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeHostPassthrough}),
	"class-features":         class(v1alpha2.ClassCPU{Type: v1alpha2.CPUTypeFeatures, Features: []string{"aes", "svm", "invtsc"}}),
	"network-main": func(in *kubevirt.Input) {
		in.Machine.Spec.Networks = []v1alpha2.NetworkSpec{{Type: v1alpha2.NetworkMain}}
	},
	"longest-names": func(in *kubevirt.Input) {
		in.Machine.Name = strings.Repeat("m", 63)
		root := v1alpha2.BlockDeviceSpecRef{Kind: v1alpha2.DiskDevice, Name: strings.Repeat("d", 60)}
		in.Machine.Spec.BlockDeviceRefs = []v1alpha2.BlockDeviceSpecRef{root}
		in.Devices[0].Ref = root
	},
	"run-policy-always-off": func(in *kubevirt.Input) { in.Machine.Spec.RunPolicy = v1alpha2.AlwaysOffPolicy },
	"run-policy-manual":     func(in *kubevirt.Input) { in.Machine.Spec.RunPolicy = v1alpha2.ManualPolicy },
	"placement":             place,
	"end-on-reset":          func(in *kubevirt.Input) { in.EndOnReset = true },
}

var sysprep = &v1alpha2.Provisioning{
	Type: v1alpha2.ProvisioningTypeSysprepRef, SysprepRef: &v1alpha2.SysprepRef{Kind: "Secret", Name: "answers"},
}

func TestVirtualMachineGolden(t *testing.T) {
	for name, edit := range variants {
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

// A golden file without a variant would be shown to KubeVirt for nothing.
func TestEachGoldenFileHasAVariant(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if variants[strings.TrimSuffix(filepath.Base(file), ".yaml")] == nil {
			t.Errorf("%s belongs to no variant: delete it", file)
		}
	}
}

func class(cpu v1alpha2.ClassCPU) func(in *kubevirt.Input) {
	return func(in *kubevirt.Input) { in.Class.Spec.CPU = cpu }
}

// longUserData is as long as the API allows.
func longUserData() string {
	const most = 2048
	text := "#cloud-config\n"
	return text + strings.Repeat("#", most-len(text))
}

func images(in *kubevirt.Input) {
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
}

// manyDisks asks for as many block devices as the API allows.
func manyDisks(in *kubevirt.Input) {
	const most = 16
	in.Machine.Spec.BlockDeviceRefs, in.Devices = nil, nil
	for i := range most {
		ref := v1alpha2.BlockDeviceSpecRef{Kind: v1alpha2.DiskDevice, Name: fmt.Sprintf("disk-%d", i)}
		in.Machine.Spec.BlockDeviceRefs = append(in.Machine.Spec.BlockDeviceRefs, ref)
		in.Devices = append(in.Devices, kubevirt.Device{Ref: ref, UID: types.UID(ref.Name), ClaimName: "d8v-vd-" + ref.Name})
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
