package kubevirt_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/kubevirt"
)

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
		"user data with more bytes than characters": {
			edit: func(in *kubevirt.Input) {
				in.Machine.Spec.Provisioning = &v1alpha2.Provisioning{Type: v1alpha2.ProvisioningTypeUserData, UserData: strings.Repeat("ü", 1025)}
			},
			field: "spec.provisioning.userData", kind: kubevirt.ErrInvalid,
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
