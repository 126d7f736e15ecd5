package plan

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var secretKind = schema.GroupKind{Kind: "Secret"}

const redacted = "redacted-"

func isSecret(u *unstructured.Unstructured) bool {
	return u.GroupVersionKind().GroupKind() == secretKind
}

// Redact replaces the values of a Secret by their digests, in place, so that
// they can be compared and not read. It changes nothing else, and nothing twice.
func Redact(u *unstructured.Unstructured) {
	if !isSecret(u) {
		return
	}
	for _, field := range []string{"data", "stringData"} {
		values, ok := u.Object[field].(map[string]any)
		if !ok {
			continue
		}
		for key, value := range values {
			if text := fmt.Sprint(value); !strings.HasPrefix(text, redacted) {
				values[key] = redacted + hash(text)
			}
		}
	}
	annotations := u.GetAnnotations()
	if _, ok := annotations[lastApplied]; ok {
		annotations[lastApplied] = ""
		u.SetAnnotations(annotations)
	}
}

// lastApplied is where kubectl apply keeps a whole manifest, values included.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

// hiddenPaths may hold passwords outside of Secrets: first-boot user data.
var hiddenPaths = map[schema.GroupKind][]string{
	secretKind: {"data", "stringData", "metadata.annotations." + lastApplied},
	{Group: virtualization, Kind: "VirtualMachine"}: {"spec.provisioning.userData"},
	{Group: kubevirt, Kind: "VirtualMachine"}:       {"spec.template.spec.volumes"},
}

// hide removes values that may be secret from the changes of an object.
func hide(gk schema.GroupKind, fields []FieldChange) []FieldChange {
	for i := range fields {
		for _, path := range hiddenPaths[gk] {
			if within(fields[i].Path, path) || within(path, fields[i].Path) {
				fields[i] = FieldChange{Path: fields[i].Path, Hidden: true}
				break
			}
		}
	}
	return fields
}

// within tells whether path is prefix or lies below it.
func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+".")
}
