//go:build e2e

package fast

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubevirtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// golden is where the builders keep what they made.
const golden = "../../../reconcilers/kubevirt/testdata"

// newer are the objects that this KubeVirt refuses because they need a later one, with a part of its answer.
var newer = map[string]string{
	"end-on-reset": `unknown field "spec.template.spec.domain.rebootPolicy"`,
}

// admitGolden creates each golden object with a dry run. Strict validation refuses fields that this KubeVirt does not
// know and would silently drop.
func (p *plane) admitGolden(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(golden, "*.yaml"))
	must(t, err)
	if len(files) == 0 {
		t.Fatalf("no golden objects in %s", golden)
	}
	must(t, p.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) { p.admit(t, readObject(t, file), newer[name]) })
	}
}

// admit shows the machine to KubeVirt, and the instance that KubeVirt would make of it.
func (p *plane) admit(t *testing.T, object *unstructured.Unstructured, refusal string) {
	t.Helper()
	err := p.client.Create(t.Context(), object, client.DryRunAll, client.FieldValidation(metav1.FieldValidationStrict))
	switch {
	case refusal == "" && err != nil:
		t.Errorf("KubeVirt refuses what the builder made: %v", err)
	case refusal != "" && err == nil:
		t.Error("KubeVirt takes it now: it needs no exception")
	case refusal != "" && !strings.Contains(err.Error(), refusal):
		t.Errorf("refused with %v, want %q", err, refusal)
	case refusal == "":
		if err := p.client.Create(t.Context(), instanceOf(t, object), client.DryRunAll); err != nil {
			t.Errorf("KubeVirt refuses the instance of what the builder made: %v", err)
		}
	}
}

func instanceOf(t *testing.T, object *unstructured.Unstructured) client.Object {
	t.Helper()
	var machine kubevirtv1.VirtualMachine
	must(t, runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &machine))
	template := machine.Spec.Template
	return &kubevirtv1.VirtualMachineInstance{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: machine.Namespace, Name: machine.Name, Labels: template.ObjectMeta.Labels, Annotations: template.ObjectMeta.Annotations,
		},
		Spec: template.Spec,
	}
}

func readObject(t *testing.T, file string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(file)
	must(t, err)
	object := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal(text, &object.Object))
	unstructured.RemoveNestedField(object.Object, "status")
	return object
}
