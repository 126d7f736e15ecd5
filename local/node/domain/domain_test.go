package domain

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/local/node/qemu"
)

var update = flag.Bool("update", false, "write the golden files anew")

func read(t *testing.T, path string) *virtv1.VirtualMachineInstance {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	vmi := &virtv1.VirtualMachineInstance{}
	if err := yaml.UnmarshalStrict(data, vmi); err != nil {
		t.Fatal(err)
	}
	return vmi
}

// input gives each volume a file: claims and images as overlays, compact discs and seeds as they are.
func input(vmi *virtv1.VirtualMachineInstance) Input {
	in := Input{
		VMI: vmi, Files: map[string]File{}, Address: "10.66.10.1", SSHPort: 20022, Accelerator: "tcg",
		UEFICode: "/fw/code.fd", UEFIVars: "/i/vars.fd", ConsoleLog: "/i/console.log",
		Sockets: qemu.Sockets{Monitor: "/i/qmp", Serial: "/i/serial", Agent: "/i/agent", VNC: "/i/vnc"},
	}
	for _, v := range vmi.Spec.Volumes {
		in.Files[v.Name] = File{Path: "/v/" + v.Name, Format: "qcow2"}
		if v.CloudInitNoCloud != nil {
			in.Files[v.Name] = File{Path: "/i/seed.iso", Format: "raw", ReadOnly: true}
		}
	}
	for _, d := range vmi.Spec.Domain.Devices.Disks {
		if d.CDRom != nil {
			in.Files[d.Name] = File{Path: "/v/" + d.Name, Format: "raw", ReadOnly: true}
		}
	}
	return in
}

func TestTranslateToArguments(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatal("no test data")
	}
	for _, path := range inputs {
		t.Run(filepath.Base(path), func(t *testing.T) {
			vmi := read(t, path)
			if fields := Unsupported(&vmi.Spec); len(fields) > 0 {
				t.Fatalf("refused: %v", fields)
			}
			spec, err := Translate(input(vmi))
			if err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(strings.Join(qemu.Args(spec), "\n"), "\n-", "\n\n-") + "\n"
			golden := strings.TrimSuffix(path, ".yaml") + ".args"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnsupportedNamesEachField(t *testing.T) {
	tests := map[string]struct {
		spec string
		want []string
	}{
		"nothing":            {spec: `domain: {devices: {}}`},
		"tpm":                {spec: `domain: {devices: {tpm: {}}}`, want: []string{"spec.domain.devices.tpm"}},
		"secure boot":        {spec: `domain: {firmware: {bootloader: {efi: {secureBoot: true}}}, devices: {}}`, want: []string{"spec.domain.firmware.bootloader.efi.secureBoot"}},
		"EFI's default":      {spec: `domain: {firmware: {bootloader: {efi: {}}}, devices: {}}`, want: []string{"spec.domain.firmware.bootloader.efi"}},
		"persistent EFI":     {spec: `domain: {firmware: {bootloader: {efi: {secureBoot: false, persistent: true}}}, devices: {}}`, want: []string{"spec.domain.firmware.bootloader.efi.persistent", "spec.domain.firmware.bootloader.efi.secureBoot"}},
		"hyperv beside acpi": {spec: `domain: {features: {acpi: {}, hyperv: {relaxed: {}}}, devices: {}}`, want: []string{"spec.domain.features.hyperv.relaxed"}},
		"hugepages":          {spec: `domain: {memory: {guest: 1Gi, hugepages: {pageSize: 2Mi}}, devices: {}}`, want: []string{"spec.domain.memory.hugepages.pageSize"}},
		"pinned CPUs":        {spec: `domain: {cpu: {cores: 2, dedicatedCpuPlacement: true}, devices: {}}`, want: []string{"spec.domain.cpu.dedicatedCpuPlacement"}},
		"feature policy":     {spec: `domain: {cpu: {features: [{name: a}, {name: b, policy: odd}]}, devices: {}}`, want: []string{"spec.domain.cpu.features[1].name", "spec.domain.cpu.features[1].policy"}},
		"machine":            {spec: `domain: {machine: {type: virt}, devices: {}}`, want: []string{"spec.domain.machine.type"}},
		"timezone":           {spec: `domain: {clock: {timezone: Europe/Berlin}, devices: {}}`, want: []string{"spec.domain.clock.timezone"}},
		"timer":              {spec: `domain: {clock: {timer: {hpet: {present: false}, hyperv: {}}}, devices: {}}`, want: []string{"spec.domain.clock.timer.hyperv"}},
		"second disk's bus":  {spec: `domain: {devices: {disks: [{name: a, disk: {bus: virtio}}, {name: b, disk: {bus: usb}}]}}`, want: []string{"spec.domain.devices.disks[1].disk.bus"}},
		"compact disc on virtio": {
			spec: `domain: {devices: {disks: [{name: a, cdrom: {bus: virtio}}]}}`,
			want: []string{"spec.domain.devices.disks[0].cdrom.bus"},
		},
		"logical unit":         {spec: `domain: {devices: {disks: [{name: a, lun: {bus: scsi}}]}}`, want: []string{"spec.domain.devices.disks[0].lun.bus"}},
		"native io":            {spec: `domain: {devices: {disks: [{name: a, io: native}]}}`, want: []string{"spec.domain.devices.disks[0].io"}},
		"network card":         {spec: `domain: {devices: {interfaces: [{name: a, model: igb, bridge: {}}]}}`, want: []string{"spec.domain.devices.interfaces[0].model"}},
		"SR-IOV":               {spec: `domain: {devices: {interfaces: [{name: a, sriov: {}}]}}`, want: []string{"spec.domain.devices.interfaces[0].sriov"}},
		"secondary network":    {spec: "domain: {devices: {}}\nnetworks: [{name: a, multus: {networkName: x}}]", want: []string{"spec.networks[0].multus.networkName"}},
		"hotplugged volume":    {spec: "domain: {devices: {}}\nvolumes: [{name: a, persistentVolumeClaim: {claimName: x, hotpluggable: true}}]", want: []string{"spec.volumes[0].persistentVolumeClaim.claimName", "spec.volumes[0].persistentVolumeClaim.hotpluggable"}},
		"sysprep":              {spec: "domain: {devices: {}}\nvolumes: [{name: a, sysprep: {secret: {name: x}}}]", want: []string{"spec.volumes[0].sysprep.secret.name"}},
		"probe":                {spec: "domain: {devices: {}}\nreadinessProbe: {periodSeconds: 5}", want: []string{"spec.readinessProbe.periodSeconds"}},
		"another architecture": {spec: "domain: {devices: {}}\narchitecture: arm64", want: []string{"spec.architecture"}},
		"GPU":                  {spec: `domain: {devices: {gpus: [{name: a, deviceName: x}]}}`, want: []string{"spec.domain.devices.gpus[0].deviceName", "spec.domain.devices.gpus[0].name"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var spec virtv1.VirtualMachineInstanceSpec
			if err := yaml.UnmarshalStrict([]byte(tc.spec), &spec); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, Unsupported(&spec)); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTranslateRefusesContradictions(t *testing.T) {
	tests := map[string]func(*Input){
		"no memory": func(in *Input) {
			in.VMI.Spec.Domain.Memory, in.VMI.Spec.Domain.Resources = nil, virtv1.ResourceRequirements{}
		},
		"a disk without a volume":   func(in *Input) { delete(in.Files, "vd-root") },
		"an address of version six": func(in *Input) { in.Address = "fd00::1" },
		"a broadcast address":       func(in *Input) { in.Address = "10.0.0.255" },
		"a multicast card": func(in *Input) {
			in.VMI.Spec.Domain.Devices.Interfaces[0].MacAddress = "01:00:5e:00:00:01"
		},
		"two cards on one network": func(in *Input) {
			devices := &in.VMI.Spec.Domain.Devices
			devices.Interfaces = append(devices.Interfaces, virtv1.Interface{Name: "second"})
		},
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			in := input(read(t, "testdata/platform.yaml"))
			spoil(&in)
			if _, err := Translate(in); !errors.Is(err, ErrInvalid) {
				t.Errorf("error %v, want ErrInvalid", err)
			}
		})
	}
}

func TestTargetsFollowTheBus(t *testing.T) {
	vmi := read(t, "testdata/devices.yaml")
	want := map[string]string{"a": "vda", "b": "vdb", "c": "sda", "d": "sdb", "e": "sdc"}
	if diff := cmp.Diff(want, Targets(&vmi.Spec)); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
}

func TestMACIsStableAndTheInstancesOwn(t *testing.T) {
	one, other := &virtv1.VirtualMachineInstance{}, &virtv1.VirtualMachineInstance{}
	one.Name, other.Name = "one", "other"
	first, _ := MAC(one, virtv1.Interface{Name: "default"})
	again, _ := MAC(one, virtv1.Interface{Name: "default"})
	third, _ := MAC(other, virtv1.Interface{Name: "default"})
	if first != again || first == third || !strings.HasPrefix(first, "52:54:00:") {
		t.Errorf("addresses %s, %s, %s", first, again, third)
	}
}
