package domain

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sort"

	corev1 "k8s.io/api/core/v1"
	virtv1 "kubevirt.io/api/core/v1"
)

// Unsupported lists, as paths below spec, what an instance asks for and this engine does not implement.
//
// It works by subtraction: everything that is implemented, or has one meaning only on one machine, is taken away from a
// copy, and whatever is left is named. A field that KubeVirt adds tomorrow is thus refused until somebody implements it.
func Unsupported(spec *virtv1.VirtualMachineInstanceSpec) []string {
	rest := spec.DeepCopy()
	dropInstance(rest)
	dropDomain(&rest.Domain)
	for i := range rest.Volumes {
		dropVolume(&rest.Volumes[i])
	}
	for i := range rest.Networks {
		dropNetwork(&rest.Networks[i])
	}
	return leaves(rest)
}

// dropInstance takes away what is not part of the domain. Placement is judged by the instance controller: there is one
// node. Evictions do not happen on it, and priorities have nothing to preempt.
func dropInstance(s *virtv1.VirtualMachineInstanceSpec) {
	s.PriorityClassName, s.SchedulerName, s.EvictionStrategy = "", "", nil
	s.NodeSelector, s.Affinity, s.Tolerations, s.TopologySpreadConstraints = nil, nil, nil, nil
	s.TerminationGracePeriodSeconds = nil
	s.Hostname = ""
	if s.Architecture == "amd64" {
		s.Architecture = ""
	}
	if s.DNSPolicy == corev1.DNSClusterFirst || s.DNSPolicy == corev1.DNSDefault {
		s.DNSPolicy = ""
	}
}

func dropDomain(d *virtv1.DomainSpec) {
	dropResources(&d.Resources)
	drop(&d.Memory, dropMemory)
	drop(&d.CPU, dropCPU)
	drop(&d.Machine, dropMachine)
	drop(&d.Firmware, dropFirmware)
	drop(&d.Features, dropFeatures)
	drop(&d.Clock, dropClock)
	dropDevices(&d.Devices)
	if d.RebootPolicy != nil && slices.Contains([]virtv1.RebootPolicy{virtv1.RebootPolicyReboot, virtv1.RebootPolicyTerminate}, *d.RebootPolicy) {
		d.RebootPolicy = nil
	}
}

// drop takes the implemented part away from an optional field, and the field itself when nothing is left of it.
func drop[T any](field **T, part func(*T)) {
	if *field == nil {
		return
	}
	part(*field)
	if reflect.ValueOf(**field).IsZero() {
		*field = nil
	}
}

// dropResources: what is left of a request is for schedulers, and there is none; a CPU limit of a whole core each is what
// a guest's threads use at most anyway.
func dropResources(r *virtv1.ResourceRequirements) {
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		delete(r.Requests, name)
		delete(r.Limits, name)
	}
	r.OvercommitGuestOverhead = false
}

// dropMemory: MaxGuest is room for hotplug, of which nothing is used before a hotplug is asked for.
func dropMemory(m *virtv1.Memory) { m.Guest, m.MaxGuest = nil, nil }

func dropCPU(c *virtv1.CPU) {
	c.Cores, c.Sockets, c.MaxSockets, c.Threads, c.Model = 0, 0, 0, 0, ""
	for i := range c.Features {
		if _, ok := featurePolicies[c.Features[i].Policy]; ok {
			c.Features[i] = virtv1.CPUFeature{}
		}
	}
	c.Features = dropEmpty(c.Features)
}

// dropEmpty drops a list of which nothing is left. A list of which something is left keeps its indexes.
func dropEmpty[T any](list []T) []T {
	for i := range list {
		if !reflect.ValueOf(list[i]).IsZero() {
			return list
		}
	}
	return nil
}

func dropMachine(m *virtv1.Machine) {
	if machineType.MatchString(m.Type) {
		m.Type = ""
	}
}

func dropFirmware(f *virtv1.Firmware) {
	f.UUID, f.Serial = "", ""
	drop(&f.Bootloader, dropBootloader)
}

// dropBootloader: KubeVirt takes secure boot for wanted unless it is switched off.
func dropBootloader(b *virtv1.Bootloader) {
	if b.BIOS != nil && !isTrue(b.BIOS.UseSerial) {
		b.BIOS = nil
	}
	if b.EFI != nil && !isTrue(b.EFI.Persistent) && b.EFI.SecureBoot != nil && !*b.EFI.SecureBoot {
		b.EFI = nil
	}
}

func dropFeatures(f *virtv1.Features) {
	f.ACPI, f.SMM = virtv1.FeatureState{}, nil
	if f.APIC != nil && !f.APIC.EndOfInterrupt {
		f.APIC = nil
	}
}

func dropClock(c *virtv1.Clock) {
	if c.UTC != nil && c.UTC.OffsetSeconds == nil {
		c.UTC = nil
	}
	drop(&c.Timer, func(t *virtv1.Timer) {
		if t.HPET != nil && t.HPET.TickPolicy == "" {
			t.HPET = nil
		}
	})
}

func isTrue(b *bool) bool { return b != nil && *b }

// leaves names every value that is left in an object, by its path.
func leaves(object any) []string {
	data, err := json.Marshal(object)
	if err != nil {
		return []string{err.Error()}
	}
	var tree any
	if err := json.Unmarshal(data, &tree); err != nil {
		return []string{err.Error()}
	}
	var out []string
	collect("spec", tree, &out)
	sort.Strings(out)
	return out
}

// alwaysWritten are the fields that JSON shows even when they are empty. Any other empty object is a wish: tpm: {}.
var alwaysWritten = []string{"spec.domain.resources", "spec.domain.devices", "spec.domain.features.acpi"}

func collect(path string, node any, out *[]string) {
	switch v := node.(type) {
	case map[string]any:
		if len(v) == 0 && !slices.Contains(alwaysWritten, path) {
			*out = append(*out, path)
		}
		for key, child := range v {
			collect(path+"."+key, child, out)
		}
	case []any:
		for i, child := range v {
			collect(fmt.Sprintf("%s[%d]", path, i), child, out)
		}
	case string:
		if v != "" {
			*out = append(*out, path)
		}
	case nil:
	default:
		*out = append(*out, path)
	}
}
