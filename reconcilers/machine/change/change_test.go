package change_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/machine/change"
)

type spec = v1alpha2.VirtualMachineSpec

func disk(name string) v1alpha2.BlockDeviceSpecRef {
	return v1alpha2.BlockDeviceSpecRef{Kind: v1alpha2.DiskDevice, Name: name}
}

func base() *spec {
	return &spec{
		VirtualMachineClassName: "generic",
		CPU:                     v1alpha2.CPUSpec{Cores: 2},
		Memory:                  v1alpha2.MemorySpec{Size: resource.MustParse("1Gi")},
		BlockDeviceRefs:         []v1alpha2.BlockDeviceSpecRef{disk("root"), disk("data")},
	}
}

// row is one line of the verdict table as users see it.
type row struct {
	Operation v1alpha2.ChangeOperation
	Path      string
	Action    change.Action
}

func rows(changes []change.Change) []row {
	var out []row
	for _, c := range changes {
		out = append(out, row{c.Operation, c.Path, c.Action})
	}
	return out
}

func TestDiffTable(t *testing.T) {
	const add, remove, replace = v1alpha2.ChangeAdd, v1alpha2.ChangeRemove, v1alpha2.ChangeReplace
	userData := func(text string) *v1alpha2.Provisioning {
		return &v1alpha2.Provisioning{Type: v1alpha2.ProvisioningTypeUserData, UserData: text}
	}
	secretRef := func(name string) *v1alpha2.Provisioning {
		return &v1alpha2.Provisioning{Type: v1alpha2.ProvisioningTypeUserDataRef, UserDataRef: &v1alpha2.UserDataRef{Kind: "Secret", Name: name}}
	}
	tests := map[string]struct {
		current, desired func(*spec)
		want             []row
	}{
		"nothing": {},
		"class":   {desired: func(s *spec) { s.VirtualMachineClassName = "fast" }, want: []row{{replace, "virtualMachineClassName", change.Restart}}},
		"class left to admission": {
			desired: func(s *spec) { s.VirtualMachineClassName = "" },
		},
		"run policy":             {desired: func(s *spec) { s.RunPolicy = v1alpha2.AlwaysOffPolicy }, want: []row{{replace, "runPolicy", change.Live}}},
		"run policy written out": {desired: func(s *spec) { s.RunPolicy = v1alpha2.AlwaysOnUnlessStoppedManually }},
		"address":                {desired: func(s *spec) { s.VirtualMachineIPAddressName = "web" }, want: []row{{add, "virtualMachineIPAddressName", change.Restart}}},
		"cores":                  {desired: func(s *spec) { s.CPU.Cores = 4 }, want: []row{{replace, "cpu.cores", change.Restart}}},
		"core fraction":          {desired: func(s *spec) { s.CPU.CoreFraction = "20%" }, want: []row{{replace, "cpu.coreFraction", change.Restart}}},
		"core fraction in full":  {desired: func(s *spec) { s.CPU.CoreFraction = "100%" }},
		"memory":                 {desired: func(s *spec) { s.Memory.Size = resource.MustParse("2Gi") }, want: []row{{replace, "memory.size", change.Restart}}},
		"memory in another unit": {desired: func(s *spec) { s.Memory.Size = resource.MustParse("1024Mi") }},
		"bootloader":             {desired: func(s *spec) { s.Bootloader = v1alpha2.EFI }, want: []row{{replace, "bootloader", change.Restart}}},
		"operating system":       {desired: func(s *spec) { s.OSType = v1alpha2.Windows }, want: []row{{replace, "osType", change.Restart}}},
		"no paravirtualization":  {desired: func(s *spec) { s.EnableParavirtualization = ptr.To(false) }, want: []row{{replace, "enableParavirtualization", change.Restart}}},
		"grace period":           {desired: func(s *spec) { s.TerminationGracePeriodSeconds = ptr.To[int64](5) }, want: []row{{replace, "terminationGracePeriodSeconds", change.Restart}}},
		"grace period in full":   {desired: func(s *spec) { s.TerminationGracePeriodSeconds = ptr.To[int64](60) }},
		"restart approval":       {desired: func(s *spec) { s.Disruptions = &v1alpha2.Disruptions{RestartApprovalMode: v1alpha2.RestartAutomatic} }, want: []row{{replace, "disruptions", change.None}}},
		"restart approval spelt": {desired: func(s *spec) { s.Disruptions = &v1alpha2.Disruptions{RestartApprovalMode: v1alpha2.RestartManual} }},
		"live migration":         {desired: func(s *spec) { s.LiveMigrationPolicy = v1alpha2.LiveMigrationAlwaysSafe }, want: []row{{replace, "liveMigrationPolicy", change.Live}}},
		"node selector":          {desired: func(s *spec) { s.NodeSelector = map[string]string{"zone": "a"} }, want: []row{{add, "nodeSelector", change.Restart}}},
		"empty node selector":    {desired: func(s *spec) { s.NodeSelector = map[string]string{} }},
		"affinity":               {desired: func(s *spec) { s.Affinity = &v1alpha2.VMAffinity{} }, want: []row{{add, "affinity", change.Restart}}},
		"tolerations":            {desired: func(s *spec) { s.Tolerations = []corev1.Toleration{{Key: "vm"}} }, want: []row{{add, "tolerations", change.Restart}}},
		"spread":                 {desired: func(s *spec) { s.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{MaxSkew: 1}} }, want: []row{{add, "topologySpreadConstraints", change.Restart}}},
		"priority":               {desired: func(s *spec) { s.PriorityClassName = "high" }, want: []row{{add, "priorityClassName", change.Restart}}},
		"USB":                    {desired: func(s *spec) { s.USBDevices = []v1alpha2.USBDeviceSpecRef{{Name: "key"}} }, want: []row{{add, "usbDevices", change.Live}}},
		"main network filled in": {desired: func(s *spec) { s.Networks = []v1alpha2.NetworkSpec{{ID: ptr.To(1), Type: v1alpha2.NetworkMain}} }},
		"one more network": {desired: func(s *spec) {
			s.Networks = []v1alpha2.NetworkSpec{{Type: v1alpha2.NetworkMain}, {Type: v1alpha2.NetworkNamespaced, Name: "lan"}}
		}, want: []row{{replace, "networks", change.Restart}}},
		"disk at the end": {desired: func(s *spec) { s.BlockDeviceRefs = append(s.BlockDeviceRefs, disk("more")) }, want: []row{{add, "blockDeviceRefs.2", change.Restart}}},
		"disk in the middle": {desired: func(s *spec) {
			s.BlockDeviceRefs = []v1alpha2.BlockDeviceSpecRef{disk("root"), disk("more"), disk("data")}
		}, want: []row{{add, "blockDeviceRefs.1", change.Restart}}},
		"disk removed":            {desired: func(s *spec) { s.BlockDeviceRefs = s.BlockDeviceRefs[1:] }, want: []row{{remove, "blockDeviceRefs.0", change.Restart}}},
		"disk replaced":           {desired: func(s *spec) { s.BlockDeviceRefs[1] = disk("other") }, want: []row{{replace, "blockDeviceRefs.1", change.Restart}}},
		"disks swapped":           {desired: func(s *spec) { s.BlockDeviceRefs = []v1alpha2.BlockDeviceSpecRef{disk("data"), disk("root")} }, want: []row{{replace, "blockDeviceRefs.0", change.Restart}, {replace, "blockDeviceRefs.1", change.Restart}}},
		"user data added":         {desired: func(s *spec) { s.Provisioning = userData("a") }, want: []row{{add, "provisioning", change.Restart}}},
		"user data changed":       {current: func(s *spec) { s.Provisioning = userData("a") }, desired: func(s *spec) { s.Provisioning = userData("b") }, want: []row{{replace, "provisioning.userData", change.Restart}}},
		"user data into a secret": {current: func(s *spec) { s.Provisioning = userData("a") }, desired: func(s *spec) { s.Provisioning = secretRef("a") }, want: []row{{replace, "provisioning", change.Restart}}},
		"other secret":            {current: func(s *spec) { s.Provisioning = secretRef("a") }, desired: func(s *spec) { s.Provisioning = secretRef("b") }, want: []row{{replace, "provisioning.userDataRef.name", change.Restart}}},
		"two at once": {
			desired: func(s *spec) { s.CPU.Cores = 8; s.RunPolicy = v1alpha2.ManualPolicy },
			want:    []row{{replace, "runPolicy", change.Live}, {replace, "cpu.cores", change.Restart}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			current, desired := base(), base()
			for _, s := range []struct {
				edit func(*spec)
				on   *spec
			}{{test.current, current}, {test.desired, desired}} {
				if s.edit != nil {
					s.edit(s.on)
				}
			}
			if diff := cmp.Diff(test.want, rows(change.Diff(current, desired))); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDiffKnowsEveryField(t *testing.T) {
	full := &spec{
		RunPolicy: v1alpha2.ManualPolicy, VirtualMachineClassName: "x", CPU: v1alpha2.CPUSpec{Cores: 9, CoreFraction: "1%"},
		Memory:          v1alpha2.MemorySpec{Size: resource.MustParse("9Gi")},
		BlockDeviceRefs: []v1alpha2.BlockDeviceSpecRef{disk("x")}, Provisioning: &v1alpha2.Provisioning{Type: "UserData", UserData: "x"},
		VirtualMachineIPAddressName: "x", Networks: []v1alpha2.NetworkSpec{{Type: v1alpha2.NetworkNamespaced}},
		Bootloader: v1alpha2.EFI, OSType: v1alpha2.Windows, EnableParavirtualization: ptr.To(false),
		TerminationGracePeriodSeconds: ptr.To[int64](1), Disruptions: &v1alpha2.Disruptions{RestartApprovalMode: v1alpha2.RestartAutomatic},
		LiveMigrationPolicy: v1alpha2.LiveMigrationAlwaysSafe, NodeSelector: map[string]string{"x": "x"}, Affinity: &v1alpha2.VMAffinity{},
		Tolerations: []corev1.Toleration{{Key: "x"}}, TopologySpreadConstraints: []corev1.TopologySpreadConstraint{{MaxSkew: 1}},
		PriorityClassName: "x", USBDevices: []v1alpha2.USBDeviceSpecRef{{Name: "x"}},
	}
	seen := map[string]bool{}
	for _, c := range change.Diff(base(), full) {
		seen[topLevel(c.Path)] = true
	}
	for _, name := range jsonFields[spec]() {
		if !seen[name] {
			t.Errorf("spec.%s may change without any verdict: add it to the table", name)
		}
	}
}

func TestDiffClass(t *testing.T) {
	current := &v1alpha2.VirtualMachineClassSpec{}
	desired := current.DeepCopy()
	desired.NodeSelector.MatchLabels = map[string]string{"zone": "a"}
	desired.SizingPolicies = []v1alpha2.SizingPolicy{{}}
	want := []row{{v1alpha2.ChangeAdd, "VirtualMachineClass:spec.nodeSelector", change.Restart}}
	if diff := cmp.Diff(want, rows(change.DiffClass(current, desired))); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestAwaitingShowsRestartsOnly(t *testing.T) {
	desired := base()
	desired.CPU.Cores = 4
	desired.RunPolicy = v1alpha2.AlwaysOnPolicy
	desired.PriorityClassName = "high"
	got, err := change.Awaiting(change.Diff(base(), desired))
	if err != nil {
		t.Fatal(err)
	}
	want := []v1alpha2.RestartAwaitingChange{
		{Operation: v1alpha2.ChangeReplace, Path: "cpu.cores", CurrentValue: raw("2"), DesiredValue: raw("4")},
		{Operation: v1alpha2.ChangeAdd, Path: "priorityClassName", DesiredValue: raw(`"high"`)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("awaiting (-want +got):\n%s", diff)
	}
}

func TestLargest(t *testing.T) {
	tests := map[string]struct {
		changes []change.Change
		want    change.Action
	}{
		"none":    {want: change.None},
		"live":    {changes: []change.Change{{Action: change.None}, {Action: change.Live}}, want: change.Live},
		"restart": {changes: []change.Change{{Action: change.Restart}, {Action: change.Live}}, want: change.Restart},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := change.Largest(test.changes); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func raw(text string) *apiextensionsv1.JSON {
	return &apiextensionsv1.JSON{Raw: []byte(text)}
}
