package compare

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// fields gives each field of the objects' status a path, and what is of one run only a name.
func fields(o Objects) (map[string]string, error) {
	out := map[string]string{}
	parts := map[string]any{"machine": o.Machine.Status}
	if o.Instance != nil {
		parts["instance"] = o.Instance.Status
	}
	for volume, claim := range o.Claims {
		parts["claims["+volume+"]"] = claim.Status
	}
	for name, status := range parts {
		text, err := json.Marshal(status)
		if err != nil {
			return nil, fmt.Errorf("read the status of %s: %w", name, err)
		}
		var tree any
		if err := json.Unmarshal(text, &tree); err != nil {
			return nil, fmt.Errorf("read the status of %s: %w", name, err)
		}
		descend(name, tree, out)
	}
	n, named := naming(o), map[string]string{}
	for path, value := range out {
		named[uid.ReplaceAllString(path, "UID")] = n.name(path, value)
	}
	return named, nil
}

func descend(path string, node any, out map[string]string) {
	switch typed := node.(type) {
	case map[string]any:
		for name, value := range typed {
			if strings.HasSuffix(name, "Time") || strings.HasSuffix(name, "Timestamp") {
				continue
			}
			descend(path+"."+name, value, out)
		}
	case []any:
		for i, value := range typed {
			descend(fmt.Sprintf("%s[%s]", path, entry(value, i)), value, out)
		}
	case nil:
	default:
		out[path] = fmt.Sprint(typed)
	}
}

// entry tells one of a list by its name, type or phase, so that the order does not count.
func entry(value any, index int) string {
	if fields, ok := value.(map[string]any); ok {
		for _, key := range []string{"name", "type", "phase"} {
			if name, ok := fields[key].(string); ok {
				return name
			}
		}
	}
	return fmt.Sprint(index)
}

var (
	uid         = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	address     = regexp.MustCompile(`\b[0-9]{1,3}(\.[0-9]{1,3}){3}\b`)
	mac         = regexp.MustCompile(`^([0-9a-f]{2}:){5}[0-9a-f]{2}$`)
	revision    = regexp.MustCompile(`UID-[0-9]+$`)
	machineType = regexp.MustCompile(`^pc-(q35|i440fx)-[0-9.]+$`)
)

// names are what values of one run are called.
type names struct {
	node, generation string
	claims           Claims
}

func naming(o Objects) names {
	n := names{generation: fmt.Sprint(o.Machine.Generation), claims: o.Claims}
	if o.Instance != nil {
		n.node = o.Instance.Status.NodeName
	}
	return n
}

func (n names) name(path, value string) string {
	switch {
	case strings.HasSuffix(path, "Generation") && value == n.generation:
		return "GENERATION"
	case strings.HasSuffix(path, ".kernelRelease"), strings.HasSuffix(path, ".kernelVersion"):
		return "KERNEL"
	case strings.HasSuffix(path, ".storage"), strings.HasSuffix(path, ".volumeMode"), strings.Contains(path, ".accessModes["):
		return n.claimed(path, value)
	case value == n.node && value != "":
		return "NODE"
	case mac.MatchString(value):
		return "MAC"
	}
	if _, err := netip.ParseAddr(value); err == nil {
		return "ADDRESS"
	}
	value = revision.ReplaceAllString(uid.ReplaceAllString(value, "UID"), "UID-GENERATION")
	value = address.ReplaceAllString(value, "ADDRESS")
	return machineType.ReplaceAllString(value, "pc-$1-VERSION")
}

// claimed names what a claim asks for and what it has.
func (n names) claimed(path, value string) string {
	for volume, claim := range n.claims {
		switch spec := claim.Spec; {
		case !strings.Contains(path, "["+volume+"]"):
		case (strings.HasSuffix(path, "requests.storage") || strings.HasSuffix(path, "allocatedResources.storage")) && value == spec.Resources.Requests.Storage().String():
			return "REQUESTED"
		case strings.HasSuffix(path, "capacity.storage") && value == claim.Status.Capacity.Storage().String():
			return "CAPACITY"
		case strings.HasSuffix(path, "volumeMode") && value == string(ptr.Deref(spec.VolumeMode, corev1.PersistentVolumeFilesystem)):
			return "MODE"
		case strings.Contains(path, ".accessModes[") && slices.Contains(spec.AccessModes, corev1.PersistentVolumeAccessMode(value)):
			return "ACCESS"
		}
	}
	return value
}
