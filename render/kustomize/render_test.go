package kustomize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/sources/tree"

	"slipway.dev/slipway/test/bench/render/pairs"
)

// source makes a tree of files, given as name and content in turn.
func source(files ...string) fstest.MapFS {
	out := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		out[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return out
}

// manifest is the shortest object of a kind.
func manifest(kind, name string, more ...string) string {
	group := "virtualization.deckhouse.io/v1alpha2"
	if kind == "Secret" || kind == "ConfigMap" {
		group = "v1"
	}
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n%s", group, kind, name, strings.Join(more, ""))
}

func mustRender(t *testing.T, files fs.FS, o Options) []*unstructured.Unstructured {
	t.Helper()
	objects, err := Render(t.Context(), files, o)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// names lists objects as kind/namespace/name with where they come from.
func names(objects []*unstructured.Unstructured) []string {
	list := []string{}
	for _, u := range objects {
		file, line := Origin(u)
		list = append(list, fmt.Sprintf("%s from %s:%d", identify(u.GetAPIVersion(), u.GetKind(), u.GetNamespace(), u.GetName()), file, line))
	}
	return list
}

func contents(objects []*unstructured.Unstructured) []map[string]any {
	var list []map[string]any
	for _, u := range objects {
		list = append(list, u.Object)
	}
	return list
}

// at reads a field by a path such as spec.blockDeviceRefs.0.name of the object with a name.
func at(t *testing.T, objects []*unstructured.Unstructured, kind, name, path string) any {
	t.Helper()
	for _, u := range objects {
		if u.GetKind() != kind || u.GetName() != name {
			continue
		}
		var value any = u.Object
		for key := range strings.SplitSeq(path, ".") {
			switch v := value.(type) {
			case map[string]any:
				value = v[key]
			case []any:
				value = v[int(key[0]-'0')]
			}
		}
		return value
	}
	t.Fatalf("no %s/%s among %v", kind, name, names(objects))
	return nil
}

func TestPlainDirectories(t *testing.T) {
	vm, vd := manifest("VirtualMachine", "web"), manifest("VirtualDisk", "root")
	tests := map[string]struct {
		files fstest.MapFS
		path  string
		want  []string
	}{
		"all manifests below": {
			source("b.yaml", vd, "a/x.yml", vm, "README.md", "# no\n", "a/.hidden.yaml", "nonsense", ".github/ci.yaml", "on: push\n"), "",
			[]string{"VirtualMachine/web from a/x.yml:1", "VirtualDisk/root from b.yaml:1"},
		},
		"several documents": {
			source("a.yaml", "# comment\n---\n"+vm+"---\n# nothing\n---\n"+vd), "./",
			[]string{"VirtualMachine/web from a.yaml:3", "VirtualDisk/root from a.yaml:10"},
		},
		"lists": {
			source("a.yaml", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: b}\n"), ".",
			[]string{"ConfigMap/a from a.yaml:4", "ConfigMap/b from a.yaml:7"},
		},
		"a kustomization below counts as a whole": {
			source("a.yaml", vm, "sub/kustomization.yaml", "namePrefix: x-\nresources: [in.yaml]\n", "sub/in.yaml", vd, "sub/out.yaml", "nonsense"), "",
			[]string{"VirtualMachine/web from a.yaml:1", "VirtualDisk/x-root from sub/in.yaml:1"},
		},
		"a path within": {source("a.yaml", "nonsense", "apps/web/vm.yaml", vm), "/apps/web", []string{"VirtualMachine/web from apps/web/vm.yaml:1"}},
		"no manifests":  {source("README.md", "# nothing\n", "empty.yaml", "# nothing\n"), "", []string{}},
		"anchors":       {source("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: &l {x: y}}\ndata: {<<: *l, z: w}\n"), "", []string{"ConfigMap/a from a.yaml:1"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, names(mustRender(t, test.files, Options{Path: test.path}))); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestOverridesOfTheEnvironment(t *testing.T) {
	files := source(
		"apps/kustomization.yaml", "resources: [all.yaml]\nnameSuffix: -v1\n",
		"apps/all.yaml", manifest("VirtualMachine", "web", "spec:\n  blockDeviceRefs: [{kind: VirtualDisk, name: root}]\n")+
			"---\n"+manifest("VirtualDisk", "root", "spec:\n  dataSource: {type: ContainerImage, containerImage: {image: 'registry.example.com/debian:12'}}\n")+
			"---\n"+manifest("VirtualImage", "debian", "spec:\n  dataSource: {type: ContainerImage, containerImage: {image: 'registry.example.com/debian:12'}}\n")+
			"---\n"+manifest("ClusterVirtualImage", "golden", "spec:\n  dataSource: {type: ContainerImage, containerImage: {image: 'registry.example.com/debian@sha256:1'}}\n")+
			"---\n"+manifest("VirtualMachineClass", "small"),
		"apps/more/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [../extra.yaml]\n",
		"apps/extra.yaml", manifest("ConfigMap", "extra"),
	)
	objects := mustRender(t, files, Options{
		Path: "apps", TargetNamespace: "shop", NamePrefix: "dev-", NameSuffix: "-eu",
		Images:         []Image{{Name: "registry.example.com/debian", NewName: "mirror.example.com/debian", NewTag: "13"}},
		Patches:        []Patch{{Patch: "- {op: add, path: /spec/runPolicy, value: AlwaysOn}", Target: &Selector{Kind: "VirtualMachine"}}},
		Components:     []string{"more"},
		CommonMetadata: Metadata{Labels: map[string]string{"team": "a"}, Annotations: map[string]string{"note": "b"}},
	})
	want := []string{
		"VirtualMachine/shop/dev-web-v1-eu from apps/all.yaml:1",
		"VirtualDisk/shop/dev-root-v1-eu from apps/all.yaml:8",
		"VirtualImage/shop/dev-debian-v1-eu from apps/all.yaml:15",
		"ClusterVirtualImage/dev-golden-v1-eu from apps/all.yaml:22",
		"VirtualMachineClass/dev-small-v1-eu from apps/all.yaml:29",
		"ConfigMap/shop/dev-extra-eu from apps/extra.yaml:1",
	}
	if diff := cmp.Diff(want, names(objects)); diff != "" {
		t.Fatal(diff)
	}
	for _, check := range []struct{ kind, name, path, want string }{
		{"VirtualMachine", "dev-web-v1-eu", "spec.blockDeviceRefs.0.name", "dev-root-v1-eu"},
		{"VirtualMachine", "dev-web-v1-eu", "spec.runPolicy", "AlwaysOn"},
		{"VirtualDisk", "dev-root-v1-eu", "spec.dataSource.containerImage.image", "mirror.example.com/debian:13"},
		{"VirtualImage", "dev-debian-v1-eu", "spec.dataSource.containerImage.image", "mirror.example.com/debian:13"},
		{"ClusterVirtualImage", "dev-golden-v1-eu", "spec.dataSource.containerImage.image", "mirror.example.com/debian:13"},
		{"VirtualMachineClass", "dev-small-v1-eu", "metadata.labels.team", "a"},
		{"ConfigMap", "dev-extra-eu", "metadata.annotations.note", "b"},
	} {
		if diff := cmp.Diff(any(check.want), at(t, objects, check.kind, check.name, check.path)); diff != "" {
			t.Errorf("%s %s: %s", check.name, check.path, diff)
		}
	}
}

func TestReferencesFollowTheirTargets(t *testing.T) {
	disk := func(name string) string { return manifest("VirtualDisk", name) }
	machine := func(refs ...string) string {
		return manifest("VirtualMachine", "web", "spec:\n  blockDeviceRefs:\n  - "+strings.Join(refs, "\n  - ")+"\n")
	}
	tests := map[string]struct {
		files            fstest.MapFS
		kind, name, path string
		want             any
	}{
		"disk and image of one name, one renamed": {
			source(
				"kustomization.yaml", "resources: [image.yaml, base]\n", "image.yaml", manifest("VirtualImage", "debian"),
				"base/kustomization.yaml", "nameSuffix: -a\nresources: [all.yaml]\n",
				"base/all.yaml", machine("{kind: VirtualImage, name: debian}", "{kind: VirtualDisk, name: debian}")+"---\n"+disk("debian"),
			),
			"VirtualMachine", "web-a", "spec.blockDeviceRefs.0.name", "debian",
		},
		"the disk of that": {
			source(
				"kustomization.yaml", "resources: [image.yaml, base]\n", "image.yaml", manifest("VirtualImage", "debian"),
				"base/kustomization.yaml", "nameSuffix: -a\nresources: [all.yaml]\n",
				"base/all.yaml", machine("{kind: VirtualImage, name: debian}", "{kind: VirtualDisk, name: debian}")+"---\n"+disk("debian"),
			),
			"VirtualMachine", "web-a", "spec.blockDeviceRefs.1.name", "debian-a",
		},
		"a base used twice": {
			source(
				"kustomization.yaml", "namePrefix: p-\nresources: [one, two]\n",
				"one/kustomization.yaml", "nameSuffix: -one\nresources: [../base]\n", "two/kustomization.yaml", "nameSuffix: -two\nresources: [../base]\n",
				"base/kustomization.yaml", "resources: [all.yaml]\n", "base/all.yaml", machine("{kind: VirtualDisk, name: root}")+"---\n"+disk("root"),
			),
			"VirtualMachine", "p-web-two", "spec.blockDeviceRefs.0.name", "p-root-two",
		},
		"a shared disk outside of the renaming overlay": {
			source(
				"kustomization.yaml", "namePrefix: p-\nresources: [one, disk.yaml]\n", "disk.yaml", disk("root"),
				"one/kustomization.yaml", "nameSuffix: -one\nresources: [vm.yaml]\n", "one/vm.yaml", machine("{kind: VirtualDisk, name: root}"),
			),
			"VirtualMachine", "p-web-one", "spec.blockDeviceRefs.0.name", "p-root",
		},
		"an outer patch that names what an inner overlay made": {
			source(
				"kustomization.yaml", "namePrefix: p-\nresources: [one]\npatches:\n- target: {kind: VirtualMachine}\n  patch: '- {op: replace, path: /spec/blockDeviceRefs/0/name, value: root-one}'\n",
				"one/kustomization.yaml", "nameSuffix: -one\nresources: [all.yaml]\n", "one/all.yaml", machine("{kind: VirtualDisk, name: x}")+"---\n"+disk("root"),
			),
			"VirtualMachine", "p-web-one", "spec.blockDeviceRefs.0.name", "p-root-one",
		},
		"nothing of that name": {
			source("kustomization.yaml", "namePrefix: p-\nresources: [vm.yaml]\n", "vm.yaml", machine("{kind: ClusterVirtualImage, name: shared}")),
			"VirtualMachine", "p-web", "spec.blockDeviceRefs.0.name", "shared",
		},
		"not renamed twice": {
			source("kustomization.yaml", "namePrefix: p-\nresources: [all.yaml]\n", "all.yaml", machine("{kind: VirtualDisk, name: root}")+"---\n"+disk("root")+"---\n"+disk("p-root")),
			"VirtualMachine", "p-web", "spec.blockDeviceRefs.0.name", "p-root",
		},
		"another namespace": {
			source(
				"kustomization.yaml", "namePrefix: p-\nresources: [vm.yaml, disk.yaml]\n",
				"vm.yaml", strings.Replace(machine("{kind: VirtualDisk, name: root}"), "name: web", "name: web\n  namespace: a", 1),
				"disk.yaml", strings.Replace(disk("root"), "name: root", "name: root\n  namespace: b", 1),
			),
			"VirtualMachine", "p-web", "spec.blockDeviceRefs.0.name", "root",
		},
		"generated secret with a hash": {
			source(
				"kustomization.yaml", "resources: [vm.yaml]\nsecretGenerator: [{name: init, literals: [userData=x]}]\n",
				"vm.yaml", manifest("VirtualMachine", "web", "spec: {provisioning: {type: UserDataRef, userDataRef: {kind: Secret, name: init}}}\n"),
			),
			"VirtualMachine", "web", "spec.provisioning.userDataRef.name", "init-f46b7dkkh9",
		},
		"class": {
			source("kustomization.yaml", "namePrefix: p-\nresources: [all.yaml]\n", "all.yaml", manifest("VirtualMachine", "web", "spec: {virtualMachineClassName: c}\n")+"---\n"+manifest("VirtualMachineClass", "c")),
			"VirtualMachine", "p-web", "spec.virtualMachineClassName", "p-c",
		},
		"cluster image of a disk, and its namespace": {
			source("kustomization.yaml", "namespace: new\nnamePrefix: p-\nresources: [all.yaml]\n",
				"all.yaml", manifest("ClusterVirtualImage", "c", "spec: {dataSource: {type: ObjectRef, objectRef: {kind: VirtualDisk, name: root, namespace: old}}}\n")+"---\n"+disk("root")),
			"ClusterVirtualImage", "p-c", "spec.dataSource.objectRef",
			map[string]any{"kind": "VirtualDisk", "name": "p-root", "namespace": "new"},
		},
		"pull secret": {
			source("kustomization.yaml", "namePrefix: p-\nresources: [all.yaml]\n",
				"all.yaml", manifest("VirtualImage", "i", "spec: {dataSource: {containerImage: {image: x, imagePullSecret: {name: s}}}}\n")+"---\n"+manifest("Secret", "s")),
			"VirtualImage", "p-i", "spec.dataSource.containerImage.imagePullSecret.name", "p-s",
		},
		"hot-plugged disk": {
			source("kustomization.yaml", "namePrefix: p-\nresources: [all.yaml]\n",
				"all.yaml", manifest("VirtualMachineBlockDeviceAttachment", "a", "spec: {virtualMachineName: web, blockDeviceRef: {kind: VirtualDisk, name: root}}\n")+"---\n"+disk("root")+"---\n"+manifest("VirtualMachine", "web")),
			"VirtualMachineBlockDeviceAttachment", "p-a", "spec",
			map[string]any{"virtualMachineName": "p-web", "blockDeviceRef": map[string]any{"kind": "VirtualDisk", "name": "p-root"}},
		},
		"restore": {
			source("kustomization.yaml", "namePrefix: p-\nresources: [all.yaml]\n",
				"all.yaml", manifest("VirtualMachineOperation", "o", "spec: {virtualMachineName: web, restore: {virtualMachineSnapshotName: s}}\n")+"---\n"+manifest("VirtualMachineSnapshot", "s")+"---\n"+manifest("VirtualMachine", "web")),
			"VirtualMachineOperation", "p-o", "spec",
			map[string]any{"virtualMachineName": "p-web", "restore": map[string]any{"virtualMachineSnapshotName": "p-s"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, at(t, mustRender(t, test.files, Options{}), test.kind, test.name, test.path)); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestAConfiguredReferenceIsKept(t *testing.T) {
	files := source(
		"kustomization.yaml", "namePrefix: p-\nresources: [all.yaml]\nconfigurations: [c.yaml]\n",
		"c.yaml", "nameReference:\n- kind: VirtualDisk\n  fieldSpecs:\n  - {kind: VirtualMachine, path: 'spec/blockDeviceRefs[]/name'}\n  - {kind: Backup, path: spec/disk}\n",
		"all.yaml", manifest("VirtualMachine", "web", "spec: {blockDeviceRefs: [{kind: VirtualDisk, name: root}]}\n")+"---\n"+
			manifest("VirtualDisk", "root")+"---\n"+manifest("VirtualDisk", "p-root")+"---\napiVersion: example.com/v1\nkind: Backup\nmetadata: {name: b}\nspec: {disk: root}\n",
	)
	objects := mustRender(t, files, Options{})
	if got := at(t, objects, "VirtualMachine", "p-web", "spec.blockDeviceRefs.0.name"); got != "p-root" {
		t.Errorf("disk of the machine is %v, want p-root", got)
	}
	if got := at(t, objects, "Backup", "p-b", "spec.disk"); got != "p-root" {
		t.Errorf("disk of the backup is %v, want p-root", got)
	}
}

func TestFaultsOfTheSource(t *testing.T) {
	vm := manifest("VirtualMachine", "web")
	tests := map[string]struct {
		files   fstest.MapFS
		options Options
		want    string // file:line
		says    string
	}{
		"YAML that does not parse":         {source("vm.yaml", "kind: VirtualMachine\nspec:\n  a: b: c\n"), Options{}, "vm.yaml:3", "does not parse"},
		"tab":                              {source("kustomization.yaml", "resources: [vm.yaml]\n", "vm.yaml", "kind: X\n\tspec: 1\n"), Options{}, "vm.yaml:2", "does not parse"},
		"duplicate key":                    {source("vm.yaml", vm+"spec:\n  runPolicy: AlwaysOn\n  runPolicy: Manual\n"), Options{}, "vm.yaml:7", "first in line 6"},
		"not an object":                    {source("a.yaml", vm, "values.yaml", "a: 1\n"), Options{}, "values.yaml:1", "it has no kind"},
		"a list":                           {source("values.yaml", "\n- 1\n"), Options{}, "values.yaml:2", "is not a Kubernetes object"},
		"no apiVersion":                    {source("a.yaml", "kind: X\nmetadata: {name: x}\n"), Options{}, "a.yaml:1", "X has no apiVersion"},
		"no name":                          {source("a.yaml", "apiVersion: v1\nkind: X\n"), Options{}, "a.yaml:1", "X has no metadata.name"},
		"unknown field of a kustomization": {source("kustomization.yaml", "resources: []\nnamespce: x\n"), Options{}, "kustomization.yaml:2", `unknown field "namespce"`},
		"unknown field deep inside":        {source("kustomization.yaml", "patches:\n- patch: x\n  taget: {kind: X}\n"), Options{}, "kustomization.yaml:3", `"patches[0].taget"`},
		"wrong type":                       {source("kustomization.yaml", "namespace: x\nresources: vm.yaml\n"), Options{}, "kustomization.yaml:2", "resources must be a list, not string"},
		"wrong kind":                       {source("kustomization.yaml", "kind: VirtualMachine\n"), Options{}, "kustomization.yaml:1", "kind should be Kustomization"},
		"empty kustomization":              {source("kustomization.yaml", "# nothing\n"), Options{}, "kustomization.yaml", "0 documents"},
		"two kustomizations":               {source("kustomization.yaml", "resources: []\n", "Kustomization", "resources: []\n"), Options{}, "Kustomization", "more than one"},
		"https base":                       {source("kustomization.yaml", "resources:\n- vm.yaml\n- https://example.com/vm.yaml\n", "vm.yaml", vm), Options{}, "kustomization.yaml:3", "is an address"},
		"git base":                         {source("kustomization.yaml", "resources:\n- github.com/a/b//c?ref=v1\n"), Options{}, "kustomization.yaml:2", "is an address"},
		"git base that also is a directory": {
			source("kustomization.yaml", "resources: [github.com/a/b]\n", "github.com/a/b/kustomization.yaml", "resources: []\n"), Options{}, "kustomization.yaml:1", "is an address",
		},
		"scp base":              {source("kustomization.yaml", "bases: ['git@example.com:a/b']\n"), Options{}, "kustomization.yaml:1", "is an address"},
		"forced git base":       {source("kustomization.yaml", "components: ['git::https://example.com/a']\n"), Options{}, "kustomization.yaml:1", "is an address"},
		"file base":             {source("kustomization.yaml", "resources: ['file:///etc']\n"), Options{}, "kustomization.yaml:1", "is an address"},
		"remote patch":          {source("kustomization.yaml", "patches: [{path: 'https://example.com/p.yaml'}]\n"), Options{}, "kustomization.yaml:1", "is an address"},
		"remote generator file": {source("kustomization.yaml", "configMapGenerator:\n- name: a\n  files: ['k=https://example.com/f']\n"), Options{}, "kustomization.yaml:3", "is an address"},
		"remote crds":           {source("kustomization.yaml", "crds: ['http://example.com/f']\n"), Options{}, "kustomization.yaml:1", "is an address"},
		"remote configuration":  {source("kustomization.yaml", "configurations: ['http://example.com/f']\n"), Options{}, "kustomization.yaml:1", "is an address"},
		"remote replacement":    {source("kustomization.yaml", "replacements: [{path: 'http://example.com/f'}]\n"), Options{}, "kustomization.yaml:1", "is an address"},
		"remote in a transformer": {
			source("kustomization.yaml", "transformers: [t.yaml]\n", "t.yaml", "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: t}\npath: http://example.com/f\n"), Options{}, "t.yaml:4", "is an address",
		},
		"out of the tree":                 {source("a/kustomization.yaml", "resources:\n- ../../secret.yaml\n"), Options{Path: "a"}, "a/kustomization.yaml:2", "leads out of the source"},
		"absolute path":                   {source("kustomization.yaml", "resources: [/etc/passwd]\n"), Options{}, "kustomization.yaml:1", "leads out of the source"},
		"into our own files":              {source("kustomization.yaml", "resources: [../overlay]\n"), Options{}, "kustomization.yaml:1", "leads out of the source"},
		"generator out of the tree":       {source("kustomization.yaml", "secretGenerator: [{name: a, files: [../../etc/passwd]}]\n"), Options{}, "kustomization.yaml:1", "leads out of the source"},
		"env file out of the tree":        {source("kustomization.yaml", "secretGenerator: [{name: a, env: ../env}]\n"), Options{}, "kustomization.yaml:1", "leads out of the source"},
		"patch out of the tree":           {source("kustomization.yaml", "patches: [{path: ../p.yaml}]\n"), Options{}, "kustomization.yaml:1", "leads out of the source"},
		"path of the environment":         {source("vm.yaml", vm), Options{Path: "../x"}, "../x", "not a path within the source"},
		"path that is a file":             {source("vm.yaml", vm), Options{Path: "vm.yaml"}, "vm.yaml", "is a file"},
		"path that is not there":          {source("vm.yaml", vm), Options{Path: "apps"}, "apps", "is not in the source"},
		"component out of the tree":       {source("vm.yaml", vm), Options{Components: []string{"../x"}}, "../x", "leads out of the source"},
		"resource that is not there":      {source("kustomization.yaml", "resources:\n- a.yaml\n- b.yaml\n", "a.yaml", vm), Options{}, "kustomization.yaml:3", `"b.yaml" is not in the source`},
		"directory without kustomization": {source("kustomization.yaml", "resources: [a]\n", "a/vm.yaml", vm), Options{}, "kustomization.yaml:1", "without a kustomization.yaml"},
		"kustomization as a manifest":     {source("kustomization.yaml", "resources: [a/kustomization.yaml]\n", "a/kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nmetadata: {name: x}\n"), Options{}, "kustomization.yaml:1", "name its directory"},
		"cycle":                           {source("a/kustomization.yaml", "resources: [../b]\n", "b/kustomization.yaml", "resources: [../a]\n"), Options{Path: "a"}, "b/kustomization.yaml:1", "leads back to itself"},
		"itself":                          {source("a/kustomization.yaml", "resources: [.]\n"), Options{Path: "a"}, "a/kustomization.yaml:1", "leads back to itself"},
		"two of one name in one file":     {source("a.yaml", vm+"---\n"+vm), Options{}, "a.yaml:6", "in a.yaml:1"},
		"two of one name in two files":    {source("a.yaml", vm, "b.yaml", vm), Options{}, "b.yaml:1", "VirtualMachine/web: has the name of another object, in a.yaml:1"},
		"two versions of one object":      {source("a.yaml", manifest("VirtualMachineClass", "c"), "b.yaml", strings.Replace(manifest("VirtualMachineClass", "c"), "v1alpha2", "v1alpha3", 1)), Options{}, "b.yaml:1", "in a.yaml:1"},
		"two of one name in two directories": {
			source("kustomization.yaml", "resources: [a, b]\n", "a/kustomization.yaml", "resources: [vm.yaml]\n", "a/vm.yaml", vm, "b/kustomization.yaml", "resources: [vm.yaml]\n", "b/vm.yaml", vm),
			Options{},
			"b/vm.yaml:1", "in a/vm.yaml:1",
		},
		"two of one name after renaming": {
			source("kustomization.yaml", "resources: [a, b]\n", "a/kustomization.yaml", "nameSuffix: -x\nresources: [vm.yaml]\n", "a/vm.yaml", vm, "b/kustomization.yaml", "resources: [vm.yaml]\n", "b/vm.yaml", manifest("VirtualMachine", "web-x")),
			Options{},
			"kustomization.yaml", "web-x",
		},
		"helm":                        {source("kustomization.yaml", "helmCharts: [{name: x}]\n"), Options{}, "kustomization.yaml:1", "Helm"},
		"helm as a generator":         {source("kustomization.yaml", "generators: [g.yaml]\n", "g.yaml", "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: x}\n"), Options{}, "g.yaml:1", "Helm"},
		"plugin":                      {source("kustomization.yaml", "transformers: [t.yaml]\n", "t.yaml", "apiVersion: example.com/v1\nkind: Do\nmetadata: {name: x}\n"), Options{}, "t.yaml:1", "plugins are not run"},
		"inline plugin":               {source("kustomization.yaml", "transformers:\n- |-\n  apiVersion: example.com/v1\n  kind: Do\n  metadata: {name: x}\n"), Options{}, "kustomization.yaml:1", "plugins are not run"},
		"function":                    {source("kustomization.yaml", "validators: [t.yaml]\n", "t.yaml", "apiVersion: builtin\nkind: Do\nmetadata: {name: x, annotations: {config.kubernetes.io/function: 'exec: {path: ./x}'}}\n"), Options{}, "t.yaml:1", "functions are not run"},
		"openapi":                     {source("kustomization.yaml", "openapi: {path: x.json}\n", "x.json", "{}"), Options{}, "kustomization.yaml:1", "openapi"},
		"patch that does not parse":   {source("kustomization.yaml", "resources: [vm.yaml]\npatches: [{path: p.yaml}]\n", "vm.yaml", vm, "p.yaml", "a:\n  b: c\n d: e\n"), Options{}, "p.yaml:2", "does not parse"},
		"patch without a target":      {source("kustomization.yaml", "resources: [vm.yaml]\npatches: [{path: p.yaml}]\n", "vm.yaml", vm, "p.yaml", manifest("VirtualMachine", "other")), Options{}, "kustomization.yaml", "does not build"},
		"alias bomb":                  {source("a.yaml", bomb()), Options{}, "a.yaml", "aliases"},
		"annotations of a wrong type": {source("a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\n  annotations: x\n"), Options{}, "a.yaml:5", "annotations"},
		"not a number for JSON":       {source("a.yaml", "apiVersion: v1\nkind: X\nmetadata: {name: a}\nspec:\n  a: .nan\n"), Options{}, "a.yaml:1", ".nan"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Render(t.Context(), test.files, test.options)
			var fault *Error
			if !errors.As(err, &fault) {
				t.Fatalf("Render() = %v, want *Error", err)
			}
			where := fault.File
			if fault.Line > 0 {
				where = fmt.Sprintf("%s:%d", fault.File, fault.Line)
			}
			if where != test.want && (strings.Contains(test.want, ":") || fault.File != test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v\nwant it at %s, saying %q", err, test.want, test.says)
			}
			for _, ours := range []string{treeRoot + "/", manifestRoot + "/", overlayRoot + "/"} {
				if strings.Contains(err.Error(), ours) {
					t.Errorf("%v\nshows %s, which the user does not have", err, ours)
				}
			}
		})
	}
}

// bomb is a document whose aliases mean a billion nodes.
func bomb() string {
	text := "apiVersion: v1\nkind: X\nmetadata: {name: a}\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 9; i++ {
		text += fmt.Sprintf("a%[1]d: &a%[1]d [%[2]s]\n", i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return text
}

func TestSymbolicLinks(t *testing.T) {
	vm := manifest("VirtualMachine", "web")
	files := func(kustomization string) map[string]string {
		return map[string]string{"kustomization.yaml": kustomization, "vm.yaml": vm}
	}
	tests := map[string]struct {
		files map[string]string
		link  string
		to    string
		want  string
	}{
		"resource":                       {files("resources: [link.yaml]\n"), "link.yaml", "/etc/passwd", "kustomization.yaml"},
		"resource in the tree":           {files("resources: [link.yaml]\n"), "link.yaml", "vm.yaml", "kustomization.yaml"},
		"directory":                      {files("resources: [link/hosts]\n"), "link", "/etc", "kustomization.yaml"},
		"generator":                      {files("configMapGenerator: [{name: a, files: [link]}]\n"), "link", "/etc/passwd", "kustomization.yaml"},
		"patch":                          {files("resources: [vm.yaml]\npatches: [{path: link}]\n"), "link", "/etc/passwd", "kustomization.yaml"},
		"kustomization":                  {map[string]string{"vm.yaml": vm}, "kustomization.yaml", "/etc/passwd", "kustomization.yaml"},
		"in a plain directory":           {map[string]string{"vm.yaml": vm}, "more.yaml", "/etc/passwd", "more.yaml"},
		"directory in a plain directory": {map[string]string{"vm.yaml": vm}, "more", "/etc", "more"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range test.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink(test.to, filepath.Join(dir, test.link)); err != nil {
				t.Fatal(err)
			}
			_, err := Render(t.Context(), os.DirFS(dir), Options{}) // which follows links
			var fault *Error
			if !errors.As(err, &fault) || fault.File != test.want || !strings.Contains(err.Error(), "is a symbolic link") || !strings.Contains(err.Error(), test.link) {
				t.Errorf("Render() = %v, want a fault in %s about the link %s", err, test.want, test.link)
			}
		})
	}
}

func TestPathOfTheEnvironmentIsALink(t *testing.T) {
	files, err := tree.New([]tree.Entry{{Path: "apps", Mode: fs.ModeSymlink}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var fault *Error
	if _, err := Render(t.Context(), files, Options{Path: "apps/web"}); !errors.As(err, &fault) || !strings.Contains(err.Error(), "apps is a symbolic link") {
		t.Errorf("Render() = %v, want a fault about the link", err)
	}
}

func TestBrokenTreesAreNoFaults(t *testing.T) {
	broken := errors.New("the disk is broken")
	files := source("sub/vm.yaml", manifest("VirtualMachine", "web"))
	tests := map[string]failing{
		"files":       {FS: files, file: broken},
		"directories": {FS: files, dir: broken},
		"gone":        {FS: files, file: &fs.PathError{Op: "open", Path: "vm.yaml", Err: errors.Join(broken, fs.ErrNotExist)}},
	}
	for name, tree := range tests {
		t.Run(name, func(t *testing.T) {
			for _, o := range []Options{{}, {Path: "sub"}} {
				_, err := Render(t.Context(), tree, o)
				var fault *Error
				if !errors.Is(err, broken) || errors.As(err, &fault) {
					t.Errorf("Render(%s) = %v, want the failure of the tree and no fault of the source", o.Path, err)
				}
			}
		})
	}
}

// TestTreeBreaksUnderKustomize lets a file be read by the scan and not by kustomize.
func TestTreeBreaksUnderKustomize(t *testing.T) {
	files := source("kustomization.yaml", "configMapGenerator: [{name: a, files: [f]}]\n", "f", "x")
	broken := errors.New("the disk is broken")
	tree := failingFile{FS: files, name: "f", err: broken}
	if _, err := Render(t.Context(), tree, Options{}); !errors.Is(err, broken) {
		t.Errorf("Render() = %v, want the failure of the tree", err)
	}
}

// failingFile is a tree of which one file cannot be read.
type failingFile struct {
	fs.FS
	name string
	err  error
}

func (f failingFile) ReadFile(name string) ([]byte, error) {
	if name == f.name {
		return nil, f.err
	}
	return fs.ReadFile(f.FS, name)
}

// failing is a tree whose files or directories cannot be read.
type failing struct {
	fs.FS
	file, dir error
}

func (f failing) ReadFile(name string) ([]byte, error) {
	if f.file != nil {
		return nil, f.file
	}
	return fs.ReadFile(f.FS, name)
}

func (f failing) ReadDir(name string) ([]fs.DirEntry, error) {
	if f.dir != nil {
		return nil, f.dir
	}
	return fs.ReadDir(f.FS, name)
}

func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Render(ctx, pairs.Source(1), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Render() = %v, want context.Canceled", err)
	}
}

func TestManyRendersAtOnce(t *testing.T) {
	files := pairs.Source(3)
	want := names(mustRender(t, files, Options{NamePrefix: "x-"}))
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			objects, err := Render(context.Background(), files, Options{NamePrefix: "x-"})
			if err != nil {
				t.Error(err)
				return
			}
			if diff := cmp.Diff(want, names(objects)); diff != "" {
				t.Error(diff)
			}
			for _, u := range objects {
				StripOrigin(u)
			}
		})
	}
	wg.Wait()
}

func TestStripOrigin(t *testing.T) {
	files := source("a.yaml", manifest("ConfigMap", "plain")+"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: own, annotations: {a: b}}\n")
	objects := mustRender(t, files, Options{})
	for _, u := range objects {
		StripOrigin(u)
	}
	want := []map[string]any{
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "plain"}},
		{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "own", "annotations": map[string]any{"a": "b"}}},
	}
	if diff := cmp.Diff(want, contents(objects)); diff != "" {
		t.Fatal(diff)
	}
	if file, line := Origin(objects[0]); file != "" || line != 0 {
		t.Errorf("Origin() = %s:%d after StripOrigin", file, line)
	}
}

func TestValuesKeepTheirTypes(t *testing.T) {
	files := source("a.yaml", "apiVersion: v1\nkind: X\nmetadata: {name: a}\nspec:\n  s: '1'\n  i: 1\n  f: 1.5\n  b: true\n  n: null\n  d: 2024-01-02\n  big: 9223372036854775807\n  octal: 0o17\n  text: |\n    #cloud-config\n    a: b\n")
	want := map[string]any{"s": "1", "i": int64(1), "f": 1.5, "b": true, "n": nil, "d": "2024-01-02", "big": int64(9223372036854775807), "octal": int64(15), "text": "#cloud-config\na: b\n"}
	if diff := cmp.Diff(any(want), at(t, mustRender(t, files, Options{}), "X", "a", "spec")); diff != "" {
		t.Fatal(diff)
	}
}

func FuzzRender(f *testing.F) {
	vm := manifest("VirtualMachine", "web")
	f.Add("resources: [vm.yaml]\n", vm)
	f.Add("resources: [../vm.yaml]\ntransformers: [vm.yaml]\n", "apiVersion: builtin\nkind: PrefixTransformer\n")
	f.Add("configurations: [vm.yaml]\nnamespace: x\n", "nameReference: [{kind: VirtualDisk}]\n")
	f.Add("secretGenerator: [{name: a, files: [vm.yaml]}]\n", "&a [*a]")
	f.Fuzz(func(t *testing.T, kustomization, content string) {
		if strings.Contains(kustomization, "vars") {
			t.Skip() // kustomize prints a warning
		}
		objects, err := Render(t.Context(), source("kustomization.yaml", kustomization, "vm.yaml", content), Options{})
		if err == nil {
			names(objects)
		}
	})
}
