package render

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/render/decrypt"
	"slipway.dev/slipway/render/kustomize"
	"slipway.dev/slipway/render/schema"
	"slipway.dev/slipway/render/substitute"
)

var validator = sync.OnceValues(func() (*schema.Validator, error) { return schema.FromFS(crd.Files) })

func newRenderer(t testing.TB) *Renderer {
	t.Helper()
	v, err := validator()
	if err != nil {
		t.Fatal(err)
	}
	return New(10, v)
}

const machine = `apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata:
  name: web
  labels:
    port: "${PORT}"
spec:
  virtualMachineClassName: ${CLASS:=generic}
  runPolicy: ${POLICY:=AlwaysOn}
  cpu:
    cores: ${CORES}
  memory:
    size: ${MEMORY}
  blockDeviceRefs:
  - kind: VirtualDisk
    name: root
  provisioning:
    type: UserData
    userData: |
      #cloud-config
      password: ${PASSWORD}
`

func source(files ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		out[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return out
}

func declared(more ...string) substitute.Variables {
	v := substitute.Variables{
		"PORT": {Value: "80"}, "CORES": {Value: "2"}, "MEMORY": {Value: "1Gi"}, "PASSWORD": {Value: "hunter2", Secret: true},
	}
	for i := 0; i < len(more); i += 2 {
		v[more[i]] = substitute.Variable{Value: more[i+1], Secret: strings.HasPrefix(more[i+1], "hunter")}
	}
	return v
}

func TestTheWholeWay(t *testing.T) {
	result, err := newRenderer(t).Render(t.Context(), Input{Files: source("vm.yaml", machine), Variables: declared(), Options: kustomize.Options{NamePrefix: "dev-"}})
	if err != nil {
		t.Fatal(err)
	}
	u := result.Objects[0]
	cores, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "cpu", "cores")
	if diff := cmp.Diff([]any{"dev-web", "80", int64(2)}, []any{u.GetName(), u.GetLabels()["port"], cores}); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(substitute.Hidden{0: {"spec.provisioning.userData"}}, result.Hidden); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsOfEachStage(t *testing.T) {
	tests := map[string]struct {
		in   Input
		says string
	}{
		"YAML":                      {Input{Files: source("vm.yaml", "a: b: c\n")}, "vm.yaml: YAML does not parse"},
		"undeclared variable":       {Input{Files: source("vm.yaml", machine), Variables: substitute.Variables{"PORT": {}}}, "vm.yaml:11: VirtualMachine/web: spec.cpu.cores: ${CORES}: the variable is not declared"},
		"variable within a block":   {Input{Files: source("vm.yaml", strings.ReplaceAll(machine, "PASSWORD", "PASSWD")), Variables: declared()}, "vm.yaml:21: VirtualMachine/web: spec.provisioning.userData: ${PASSWD}"},
		"variable of a wrong type":  {Input{Files: source("vm.yaml", machine), Variables: declared("CORES", "many")}, "vm.yaml:11: VirtualMachine/web: spec.cpu.cores: the field must be an integer"},
		"secret of a wrong type":    {Input{Files: source("vm.yaml", machine), Variables: declared("CORES", "hunter3")}, "the field must be an integer"},
		"secret in an enumeration":  {Input{Files: source("vm.yaml", machine), Variables: declared("POLICY", "hunter3")}, "spec.runPolicy: is not supported"},
		"variables without a value": {Input{Files: source("vm.yaml", machine)}, "spec.cpu.cores: must be of type integer"},
		"encrypted file":            {Input{Files: source("s.yaml", fixture(t, "secret.yaml"))}, "s.yaml:1: is encrypted with SOPS; name a Secret"},
		"encrypted input":           {Input{Files: source("kustomization.yaml", "secretGenerator: [{name: a, envs: [vars.env]}]\n", "vars.env", fixture(t, "vars.env"))}, "vars.env: is encrypted with SOPS; name a Secret"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := newRenderer(t).Render(t.Context(), test.in)
			if Fault(err) == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Render() = %v, want a fault that says %q", err, test.says)
			}
			if err != nil && strings.Contains(err.Error(), "hunter") {
				t.Errorf("%v\nshows a secret", err)
			}
		})
	}
}

func fixture(t testing.TB, name string) string {
	t.Helper()
	content, err := os.ReadFile("decrypt/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func tenant(t testing.TB) *decrypt.Keys {
	t.Helper()
	keys, err := decrypt.ParseKeys(map[string][]byte{"a.agekey": []byte(fixture(t, "tenant.agekey"))})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestEncryptedSources(t *testing.T) {
	files := source(
		"kustomization.yaml", `namePrefix: p-
resources: [secret.yaml, plain.yaml]
secretGenerator:
- {name: generated, options: {disableNameSuffixHash: true}, files: [config.json, text=blob.bin, types.yaml], envs: [vars.env]}
configMapGenerator:
- {name: sealed, options: {disableNameSuffixHash: true}, files: [blob.bin, patch.yaml]}
patches: [{path: patch.yaml}]
`,
		"secret.yaml", fixture(t, "secret.yaml"), "config.json", fixture(t, "config.json"), "blob.bin", fixture(t, "blob.bin"),
		"types.yaml", fixture(t, "types.yaml"), "vars.env", fixture(t, "vars.env"),
		"plain.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: plain}\n",
		"patch.yaml", fixture(t, "secret.yaml"),
	)
	result, err := newRenderer(t).Render(t.Context(), Input{Files: files, Options: kustomize.Options{Keys: tenant(t)}})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*unstructured.Unstructured{}
	for _, u := range result.Objects {
		byName[u.GetName()] = u
	}
	secret := byName["p-cloud-init"]
	if text, _, _ := unstructured.NestedString(secret.Object, "stringData", "userData"); text != "#cloud-config\npassword: hunter2\n" || secret.Object["sops"] != nil {
		t.Errorf("%v was decrypted", secret.Object)
	}
	if file, line := kustomize.Origin(secret); file != "secret.yaml" || line != 1 {
		t.Errorf("it stands in %s:%d", file, line)
	}
	data, _, _ := unstructured.NestedStringMap(byName["p-generated"].Object, "data")
	for key, want := range map[string]string{"PASSWORD": "aHVudGVyMj14", "text": "YmluYXJ5AQJ0ZXh0CndpdGhvdXQgZW5k"} {
		if data[key] != want {
			t.Errorf("%s is %q, want %q", key, data[key], want)
		}
	}
	if sealed := fmt.Sprint(byName["p-sealed"].Object); strings.Count(sealed, "ENC[") < 2 || strings.Contains(sealed, "hunter2") {
		t.Errorf("a ConfigMap got what was encrypted: %s", sealed)
	}
}

// counting counts how often a tree is read.
type counting struct {
	fs.FS
	mu    sync.Mutex
	reads int
}

func (c *counting) Open(name string) (fs.File, error) {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.FS.Open(name)
}

func (c *counting) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reads
}

func TestResultsAreRemembered(t *testing.T) {
	files := &counting{FS: source("vm.yaml", machine)}
	r := newRenderer(t)
	reads := func(in Input) int {
		t.Helper()
		before := files.count()
		in.Files = files
		if _, err := r.Render(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		return files.count() - before
	}
	first := Input{Digest: "sha256:1", Variables: declared()}
	if reads(first) == 0 {
		t.Error("the first render read nothing")
	}
	if reads(first) != 0 {
		t.Error("the same input was rendered twice")
	}
	for name, other := range map[string]Input{
		"digest":  {Digest: "sha256:2", Variables: declared()},
		"options": {Digest: "sha256:1", Variables: declared(), Options: kustomize.Options{NamePrefix: "x-"}},
		"value":   {Digest: "sha256:1", Variables: declared("PORT", "81")},
		"keys":    {Digest: "sha256:1", Variables: declared(), Options: kustomize.Options{Keys: tenant(t)}},
		"nothing": {Variables: declared()},
	} {
		if reads(other) == 0 {
			t.Errorf("another input was not rendered: %s", name)
		}
	}
}

func TestFaultsAreRemembered(t *testing.T) {
	files := &counting{FS: source("vm.yaml", "a: b: c\n")}
	r := newRenderer(t)
	_, first := r.Render(t.Context(), Input{Digest: "sha256:1", Files: files})
	before := files.count()
	_, second := r.Render(t.Context(), Input{Digest: "sha256:1", Files: files})
	if Fault(first) == nil || second == nil || first.Error() != second.Error() || files.count() != before {
		t.Errorf("%v, then %v after %d more reads", first, second, files.count()-before)
	}
}

// broken is a tree that cannot be read.
type broken struct{ fstest.MapFS }

var errBroken = errors.New("the disk is broken")

func (broken) ReadFile(string) ([]byte, error) { return nil, errBroken }

func TestBrokenTreesAreNotRemembered(t *testing.T) {
	files := source("vm.yaml", machine)
	r := newRenderer(t)
	in := Input{Digest: "sha256:1", Files: broken{files}, Variables: declared()}
	if _, err := r.Render(t.Context(), in); !errors.Is(err, errBroken) || Fault(err) != nil {
		t.Errorf("Render() = %v, want the failure of the tree and no fault of the source", err)
	}
	in.Files = files
	if _, err := r.Render(t.Context(), in); err != nil {
		t.Errorf("Render() = %v after the tree was repaired", err)
	}
}

func TestManyAskAtOnce(t *testing.T) {
	files := &counting{FS: source("vm.yaml", machine)}
	r := newRenderer(t)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			result, err := r.Render(context.Background(), Input{Digest: fmt.Sprintf("sha256:%d", i%4), Files: files, Variables: declared()})
			if err != nil || len(result.Objects) != 1 {
				t.Errorf("Render() = %v, %v", result, err)
			}
		})
	}
	wg.Wait()
}

func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, digest := range []string{"", "sha256:1"} {
		if _, err := newRenderer(t).Render(ctx, Input{Digest: digest, Files: source("vm.yaml", machine), Variables: declared()}); !errors.Is(err, context.Canceled) {
			t.Errorf("Render(%q) = %v, want context.Canceled", digest, err)
		}
	}
}

func TestTooSlow(t *testing.T) {
	r := newRenderer(t)
	r.limit = time.Nanosecond
	_, err := r.Render(t.Context(), Input{Digest: "sha256:1", Files: source("vm.yaml", machine), Variables: declared()})
	if !errors.Is(err, errTooSlow) || Fault(err) != nil {
		t.Errorf("Render() = %v, want that it takes too long, which may pass", err)
	}
	r.limit = timeLimit
	if _, err := r.Render(t.Context(), Input{Digest: "sha256:1", Files: source("vm.yaml", machine), Variables: declared()}); err != nil {
		t.Errorf("Render() = %v when there is time again", err)
	}
}

func BenchmarkRemembered(b *testing.B) {
	r := newRenderer(b)
	in := Input{Digest: "sha256:1", Files: source("vm.yaml", machine), Variables: declared()}
	for b.Loop() {
		if _, err := r.Render(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
}
