package schema

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/render/kustomize"
)

var shipped = sync.OnceValues(func() (*Validator, error) { return FromFS(crd.Files) })

// check renders files and validates the objects against the definitions that we ship.
func check(t *testing.T, files fstest.MapFS, o kustomize.Options) []string {
	t.Helper()
	v, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kustomize.Render(t.Context(), files, o)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range v.Validate(t.Context(), objects, files) {
		list = append(list, e.Error())
	}
	return list
}

const machine = `apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata:
  name: web
spec:
  virtualMachineClassName: generic
  cpu:
    cores: 1
  memory:
    size: 1Gi
  blockDeviceRefs:
  - kind: VirtualDisk
    name: root
`

func edited(pairs ...string) fstest.MapFS {
	return fstest.MapFS{"vm.yaml": {Data: []byte(strings.NewReplacer(pairs...).Replace(machine))}}
}

func TestFaultsNameFileLineObjectAndField(t *testing.T) {
	patched := fstest.MapFS{
		"kustomization.yaml": {Data: []byte("resources: [vm.yaml]\nnamespace: shop\npatches:\n- target: {kind: VirtualMachine}\n  patch: '- {op: add, path: /spec/cpu/coers, value: 2}'\n")},
		"vm.yaml":            {Data: []byte("# first line\n" + machine)},
	}
	tests := map[string]struct {
		files fstest.MapFS
		want  []string
	}{
		"valid": {edited(), nil},
		"unknown field": {
			edited("    cores: 1", "    cores: 1\n    coers: 2"),
			[]string{"vm.yaml:9: VirtualMachine/web: spec.cpu.coers: unknown field; check its spelling and indentation"},
		},
		"unknown field in a list": {
			edited("    name: root", "    name: root\n    size: 1Gi"),
			[]string{"vm.yaml:14: VirtualMachine/web: spec.blockDeviceRefs[0].size: unknown field; check its spelling and indentation"},
		},
		"unknown field at the top": {
			edited("spec:", "spce: {}\nspec:"),
			[]string{"vm.yaml:5: VirtualMachine/web: spce: unknown field; check its spelling and indentation"},
		},
		"unknown field that a patch brought": {
			patched,
			[]string{"vm.yaml:2: VirtualMachine/shop/web: spec.cpu.coers: unknown field; check its spelling and indentation"},
		},
		"wrong type": {
			edited("cores: 1", "cores: one"),
			[]string{`vm.yaml:8: VirtualMachine/web: spec.cpu.cores: must be of type integer: "string"`},
		},
		"value that is not in the list": {
			edited("kind: VirtualDisk", "kind: Disk"),
			[]string{`vm.yaml:12: VirtualMachine/web: spec.blockDeviceRefs[0].kind: "Disk" is not supported; supported values: "ClusterVirtualImage", "VirtualImage", "VirtualDisk"`},
		},
		"missing field": {
			edited("    size: 1Gi\n", "    {}\n"),
			[]string{"vm.yaml:9: VirtualMachine/web: spec.memory.size: is required"},
		},
		"label that is a number": {
			edited("  name: web", "  name: web\n  labels: {a: 1}"),
			[]string{"vm.yaml:3: VirtualMachine/web: metadata: has a value of the wrong type: labels and annotations must be strings, quote numbers and booleans"},
		},
		"unknown metadata": {
			edited("  name: web", "  name: web\n  lables: {a: b}"),
			[]string{"vm.yaml:5: VirtualMachine/web: metadata.lables: unknown field; check its spelling and indentation"},
		},
		"class that admission fills in": {edited("  virtualMachineClassName: generic\n", ""), nil},
		"kinds that are not known":      {fstest.MapFS{"a.yaml": {Data: []byte("apiVersion: example.com/v1\nkind: Backup\nmetadata: {name: a}\nunknown: 1\n")}}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, check(t, test.files, kustomize.Options{})); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestNativeKinds(t *testing.T) {
	const service = `apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports:
  - port: 80
    targetPort: http
`
	object := func(text string) fstest.MapFS { return fstest.MapFS{"a.yaml": {Data: []byte(text)}} }
	tests := map[string]struct {
		text string
		want []string
	}{
		"valid service": {service, nil},
		"valid secret":  {"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: Opaque\ndata: {a: Yg==}\nstringData: {b: c}\n", nil},
		"valid deployment": {
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, labels: {x: y}}\nspec:\n  replicas: 2\n  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {creationTimestamp: null}\n    spec:\n      containers: [{name: a, image: b, resources: {limits: {cpu: 2, memory: 1Gi}}, livenessProbe: {httpGet: {path: /, port: 80}}}]\n      volumes: [{name: v, emptyDir: {}}]\n", nil,
		},
		"unknown field": {
			strings.Replace(service, "targetPort", "targtePort", 1),
			[]string{"a.yaml:8: Service/web: spec.ports[0].targtePort: unknown field; check its spelling and indentation"},
		},
		"number for a string": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  port: 80\n",
			[]string{"a.yaml:5: ConfigMap/a: data.port: must be a string; quote it"},
		},
		"string for a number": {
			strings.Replace(service, "port: 80", "port: http", 1),
			[]string{"a.yaml:7: Service/web: spec.ports[0].port: must be an integer"},
		},
		"list for a mapping": {
			strings.Replace(service, "{app: web}", "[app]", 1),
			[]string{"a.yaml:5: Service/web: spec.selector: must be a mapping, not a list"},
		},
		"mapping for a list": {
			"apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\nsecrets: {name: b}\n",
			[]string{"a.yaml:4: ServiceAccount/a: secrets: must be a list, not a mapping"},
		},
		"key with dots": {
			"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a.conf: true\n",
			[]string{"a.yaml:5: ConfigMap/a: data[a.conf]: must be a string; quote it"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, check(t, object(test.text), kustomize.Options{})); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestRulesRun(t *testing.T) {
	files := fstest.MapFS{"o.yaml": {Data: []byte(`apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachineOperation
metadata:
  name: o
spec:
  type: Start
  virtualMachineName: web
  force: true
`)}}
	got := check(t, files, kustomize.Options{})
	if len(got) != 1 || !strings.HasPrefix(got[0], "o.yaml:5: VirtualMachineOperation/o: spec: ") {
		t.Errorf("faults are %q, want the broken rule of spec in line 5", got)
	}
}

func TestSecretValuesAreNotPrinted(t *testing.T) {
	files := edited("spec:", "spec:\n  provisioning:\n    type: UserData\n    userData:\n      password: hunter2\n  bootloader: hunter3isanenum")
	for _, line := range check(t, files, kustomize.Options{}) {
		if strings.Contains(line, "hunter2") {
			t.Errorf("%s shows user data", line)
		}
	}
}

func TestObjectsAreNotChanged(t *testing.T) {
	v, err := shipped()
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "virtualization.deckhouse.io/v1alpha2", "kind": "VirtualMachine",
		"metadata": map[string]any{"name": "web"}, "spec": map[string]any{"unknown": "field"},
	}}
	before := u.DeepCopy()
	if faults := v.Validate(t.Context(), []*unstructured.Unstructured{u}, nil); len(faults) == 0 {
		t.Error("no faults")
	}
	if diff := cmp.Diff(before, u); diff != "" {
		t.Fatal(diff)
	}
}

func TestDefinitionThatDoesNotCompile(t *testing.T) {
	d := &apiextensionsv1.CustomResourceDefinition{}
	d.Spec.Group, d.Spec.Names.Kind = "example.com", "Broken"
	d.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{
		Name: "v1", Served: true, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
			Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": {ID: "x"}},
		}},
	}}
	u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Broken", "metadata": map[string]any{"name": "b"}}}
	if faults := New(d).Validate(t.Context(), []*unstructured.Unstructured{u}, nil); len(faults) != 1 || !strings.Contains(faults.Error(), "Broken/b: compile definition") {
		t.Errorf("faults are %v", faults)
	}
}

func TestConcurrentUse(t *testing.T) {
	v, err := FromFS(crd.Files)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kustomize.Render(t.Context(), edited(), kustomize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if faults := v.Validate(context.Background(), objects, nil); len(faults) > 0 {
				t.Error(faults)
			}
		})
	}
	wg.Wait()
}

func BenchmarkValidate(b *testing.B) {
	v, err := shipped()
	if err != nil {
		b.Fatal(err)
	}
	objects, err := kustomize.Render(b.Context(), edited(), kustomize.Options{})
	if err != nil {
		b.Fatal(err)
	}
	v.Validate(b.Context(), objects, nil)
	for b.Loop() {
		v.Validate(b.Context(), objects, nil)
	}
}
