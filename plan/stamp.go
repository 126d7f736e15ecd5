package plan

import (
	"encoding/base64"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// StampAnnotation holds the digest of the object as it was rendered when it was
// applied last. It tells a change of the source from drift, also after a restart
// of the controller, and makes sure that every change of the source is applied.
// Secrets carry none: it would let a reader of metadata test guesses.
const StampAnnotation = v1alpha1.Group + "/applied-digest"

// Own labels an object for its Environment.
func Own(u *unstructured.Unstructured, owner types.NamespacedName) {
	labels := u.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[v1alpha1.EnvironmentLabel] = owner.Name
	labels[v1alpha1.EnvironmentNamespaceLabel] = owner.Namespace
	delete(labels, v1alpha1.ReleasedLabel)
	u.SetLabels(labels)
}

// Normalize writes an object as the API server would store it, as far as that
// is known without a schema: no status, no empty creation time, and stringData of
// a Secret as data.
func Normalize(u *unstructured.Unstructured) {
	delete(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	unstructured.RemoveNestedField(u.Object, "metadata", "resourceVersion")
	unstructured.RemoveNestedField(u.Object, "metadata", "uid")
	unstructured.RemoveNestedField(u.Object, "metadata", "generation")
	dropNulls(u.Object)
	if isSecret(u) {
		writeData(u)
	}
}

// Stamp annotates a normalized object with the digest of itself.
func Stamp(u *unstructured.Unstructured) {
	if isSecret(u) {
		return
	}
	annotations := u.GetAnnotations()
	delete(annotations, StampAnnotation)
	u.SetAnnotations(annotations)
	if len(annotations) == 0 {
		unstructured.RemoveNestedField(u.Object, "metadata", "annotations")
		annotations = map[string]string{}
	}
	annotations[StampAnnotation] = hash(u.Object)[:len("sha256:")+16]
	u.SetAnnotations(annotations)
}

func dropNulls(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, child := range v {
			if child == nil {
				delete(v, key)
				continue
			}
			dropNulls(child)
		}
	case []any:
		for _, child := range v {
			dropNulls(child)
		}
	}
}

func writeData(u *unstructured.Unstructured) {
	data, ok := u.Object["data"].(map[string]any)
	if !ok {
		data = map[string]any{}
	}
	for key, value := range data {
		data[key] = canonical(value)
	}
	plain, _, _ := unstructured.NestedMap(u.Object, "stringData")
	for key, value := range plain {
		if text, ok := value.(string); ok {
			data[key] = base64.StdEncoding.EncodeToString([]byte(text))
		}
	}
	if len(data) > 0 {
		u.Object["data"] = data
	}
	delete(u.Object, "stringData")
}

// canonical is a value of a Secret as the API server writes it: base64 without
// the line breaks that manifests may have.
func canonical(value any) any {
	text, ok := value.(string)
	if !ok {
		return value
	}
	content, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return value
	}
	return base64.StdEncoding.EncodeToString(content)
}
