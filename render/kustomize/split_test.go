package kustomize

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/test/bench/render/pairs"
)

// whole and parts render a tree in one build, and in parts of two objects.
func whole(t testing.TB, files fs.FS, o Options) ([]*unstructured.Unstructured, error) {
	s := newScan(t.Context(), newJail(files), o.Keys)
	s.split.from = 1 << 30
	return s.render(o)
}

func parts(t testing.TB, files fs.FS, o Options) (objects []*unstructured.Unstructured, divided bool, err error) {
	s := newScan(t.Context(), newJail(files), o.Keys)
	s.split = splitting{from: 1, size: 2}
	objects, err = s.render(o)
	if err == nil && len(s.places) > 0 {
		root := overlayRoot
		if o.onlyPath() {
			root = absolute(strings.Trim("./"+o.Path, "/"))
		}
		_, fault := s.buildParts(root, s.order(root))
		divided = fault == nil
	}
	return objects, divided, err
}

// equal checks that parts give what the whole gives, and reports whether there were parts.
func equal(t *testing.T, files fs.FS, o Options) bool {
	t.Helper()
	want, wantErr := whole(t, files, o)
	got, divided, err := parts(t, files, o)
	if fmt.Sprint(wantErr) != fmt.Sprint(err) {
		t.Fatalf("in parts: %v\nas a whole: %v", err, wantErr)
	}
	if diff := cmp.Diff(contents(want), contents(got)); diff != "" {
		t.Fatalf("(-whole +parts):\n%s", diff)
	}
	return divided
}

func TestPartsGiveWhatTheWholeGives(t *testing.T) {
	machine := func(name, disk string) string {
		return manifest("VirtualMachine", name, "spec:\n  blockDeviceRefs: [{kind: VirtualDisk, name: "+disk+"}]\n  provisioning: {type: UserDataRef, userDataRef: {kind: Secret, name: init}}\n")
	}
	many := machine("a", "one") + "---\n" + manifest("VirtualDisk", "one") + "---\n" + machine("b", "two") + "---\n" + manifest("VirtualDisk", "two") + "---\n" + manifest("VirtualImage", "three")
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {selector: {app: x}}\n"
	const ingress = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec: {defaultBackend: {service: {name: s, port: {number: 80}}}}\n"
	tests := map[string]struct {
		files   fstest.MapFS
		options Options
		divided bool
	}{
		"plain directory": {source("a.yaml", many), Options{}, true},
		"overrides": {
			source("a.yaml", many), Options{
				NamePrefix: "p-", NameSuffix: "-s", TargetNamespace: "n", CommonMetadata: Metadata{Labels: map[string]string{"a": "b"}},
				Patches: []Patch{{Patch: "- {op: add, path: /metadata/labels, value: {x: y}}", Target: &Selector{Kind: "VirtualDisk"}}},
			}, true,
		},
		"bases, a generator, a component": {
			source(
				"kustomization.yaml", "namePrefix: p-\nresources: [two.yaml, one, one.yaml]\ncomponents: [more, tint]\nsecretGenerator: [{name: init, literals: [a=b]}]\nlabels: [{pairs: {x: z}, includeSelectors: true}]\n",
				"two.yaml", manifest("VirtualImage", "z")+"---\n"+manifest("ConfigMap", "c"), "one.yaml", machine("c", "one"),
				"one/kustomization.yaml", "nameSuffix: -one\nnamespace: ns\nresources: [all.yaml]\n", "one/all.yaml", many,
				"more/kustomization.yaml", "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nresources: [d.yaml]\n", "more/d.yaml", machine("d", "two"),
				"tint/kustomization.yaml", "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\npatches: [{target: {kind: VirtualMachine}, patch: '- {op: add, path: /spec/tint, value: red}'}]\n",
			), Options{}, true,
		},
		"native objects that name each other": {
			source("a.yaml", ingress, "b.yaml", many, "c.yaml", service, "d.yaml", manifest("Secret", "init")), Options{NamePrefix: "p-"}, true,
		},
		"a patch that names its object": {
			source("kustomization.yaml", "namePrefix: p-\nresources: [a.yaml]\npatches: [{path: p.yaml}]\n", "a.yaml", many, "p.yaml", manifest("VirtualMachine", "b", "spec: {x: y}\n")), Options{NameSuffix: "-s"}, true,
		},
		"a patch that deletes":              {source("kustomization.yaml", "resources: [a.yaml]\npatches: [{patch: '{apiVersion: virtualization.deckhouse.io/v1alpha2, kind: VirtualDisk, metadata: {name: two}, $patch: delete}'}]\n", "a.yaml", many), Options{}, true},
		"a patch of an object not there":    {source("kustomization.yaml", "resources: [a.yaml]\npatches: [{path: p.yaml}]\n", "a.yaml", many, "p.yaml", manifest("VirtualMachine", "q", "spec: {x: y}\n")), Options{}, false},
		"a patch of two":                    {source("kustomization.yaml", "resources: [a.yaml]\npatches: [{path: p.yaml}]\n", "a.yaml", many+"---\n"+machine("bb", "one"), "p.yaml", manifest("VirtualMachine", "bb", "spec: {x: y}\n")), Options{}, false},
		"a JSON patch that does not fit":    {source("kustomization.yaml", "resources: [a.yaml]\npatches: [{target: {kind: VirtualDisk}, patch: '- {op: remove, path: /spec/none}'}]\n", "a.yaml", many), Options{}, false},
		"a base used twice":                 {source("kustomization.yaml", "resources: [x, y]\n", "x/kustomization.yaml", "nameSuffix: -x\nresources: [../b]\n", "y/kustomization.yaml", "nameSuffix: -y\nresources: [../b]\n", "b/kustomization.yaml", "resources: [a.yaml]\n", "b/a.yaml", many), Options{}, false},
		"replacements":                      {source("kustomization.yaml", "resources: [a.yaml]\nreplacements:\n- source: {kind: VirtualImage, name: three, fieldPath: metadata.name}\n  targets: [{select: {kind: VirtualDisk}, fieldPaths: [metadata.annotations.image], options: {create: true}}]\n", "a.yaml", many), Options{}, false},
		"configured references":             {source("kustomization.yaml", "namePrefix: p-\nresources: [a.yaml]\nconfigurations: [c.yaml]\n", "a.yaml", many+"---\napiVersion: example.com/v1\nkind: Backup\nmetadata: {name: x}\nspec: {disk: one}\n", "c.yaml", "nameReference: [{kind: VirtualDisk, fieldSpecs: [{kind: Backup, path: spec/disk}]}]\n"), Options{}, false},
		"generators that merge":             {source("kustomization.yaml", "resources: [a.yaml, b.yaml]\nconfigMapGenerator: [{name: c, behavior: merge, literals: [x=y]}]\n", "a.yaml", many, "b.yaml", manifest("ConfigMap", "c", "data: {a: b}\n")), Options{}, false},
		"one name twice":                    {source("kustomization.yaml", "resources: [x, y]\n", "x/kustomization.yaml", "namespace: x\nresources: [a.yaml]\n", "x/a.yaml", many, "y/kustomization.yaml", "namespace: y\nresources: [a.yaml]\n", "y/a.yaml", many), Options{}, false},
		"one name twice, in the end":        {source("kustomization.yaml", "resources: [a.yaml, x]\n", "a.yaml", many, "x/kustomization.yaml", "nameSuffix: -s\nresources: [v.yaml]\n", "x/v.yaml", manifest("VirtualImage", "v")+"---\n"+manifest("VirtualDisk", "w")), Options{Patches: []Patch{{Patch: "- {op: replace, path: /metadata/name, value: one}", Target: &Selector{Kind: "VirtualDisk"}}}}, true},
		"an annotation that a patch clears": {source("a.yaml", many), Options{Patches: []Patch{{Patch: "- {op: remove, path: /metadata/annotations}", Target: &Selector{Kind: "VirtualDisk"}}}}, true},
		"local configuration":               {source("a.yaml", many+"---\n"+strings.Replace(manifest("ConfigMap", "l"), "name: l", "name: l\n  annotations: {config.kubernetes.io/local-config: 'true'}", 1)), Options{}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if name == "one name twice, in the end" {
				if _, _, err := parts(t, test.files, test.options); err == nil {
					t.Fatal("two objects of one name were rendered")
				}
				return
			}
			if divided := equal(t, test.files, test.options); divided != test.divided {
				_, err := whole(t, test.files, test.options)
				t.Errorf("divided is %t, want %t (%v)", divided, test.divided, err)
			}
		})
	}
}

// TestRandomTrees compares parts with the whole for trees that nobody thought of.
func TestRandomTrees(t *testing.T) {
	divided := 0
	for seed := range int64(25) {
		files, o := randomTree(rand.New(rand.NewSource(seed))) //nolint:gosec // repeatable on purpose
		if equal(t, files, o) {
			divided++
		}
	}
	if divided < 8 {
		t.Errorf("only %d of 25 trees were divided", divided)
	}
}

var kindsOfTrees = []string{"VirtualMachine", "VirtualDisk", "VirtualImage", "ClusterVirtualImage", "Secret", "ConfigMap", "VirtualMachineClass"}

func randomTree(r *rand.Rand) (fstest.MapFS, Options) {
	files, names, folders := fstest.MapFS{}, 0, 0
	var folder func(dir string, depth int)
	folder = func(dir string, depth int) {
		folders++
		var resources []string
		for i := range 1 + r.Intn(4) {
			var text []string
			for range 1 + r.Intn(3) {
				names++
				kind := kindsOfTrees[r.Intn(len(kindsOfTrees))]
				spec := ""
				if kind == "VirtualMachine" {
					spec = fmt.Sprintf("spec: {blockDeviceRefs: [{kind: VirtualDisk, name: n%d}], virtualMachineClassName: n%d}\n", r.Intn(names+2), r.Intn(names+2))
				}
				text = append(text, manifest(kind, fmt.Sprintf("n%d", names), spec))
			}
			name := fmt.Sprintf("f%d.yaml", i)
			files[dir+name] = &fstest.MapFile{Data: []byte(strings.Join(text, "---\n"))}
			resources = append(resources, name)
		}
		for i := range r.Intn(3) {
			if depth > 2 {
				break
			}
			name := fmt.Sprintf("d%d", i)
			folder(dir+name+"/", depth+1)
			resources = append(resources, name)
		}
		r.Shuffle(len(resources), func(i, j int) { resources[i], resources[j] = resources[j], resources[i] })
		folders++
		text := "resources: [" + strings.Join(resources, ", ") + "]\n"
		for _, line := range []string{
			"namePrefix: p-\n", "nameSuffix: -s\n", "namespace: ns\n", "commonAnnotations: {a: b}\n", "labels: [{pairs: {x: z}}]\n",
			"patches: [{target: {kind: VirtualDisk}, patch: '- {op: add, path: /metadata/labels, value: {q: r}}'}]\n",
			fmt.Sprintf("secretGenerator: [{name: g%d, literals: [a=b]}]\n", folders),
		} {
			if r.Intn(3) == 0 {
				text += line
			}
		}
		files[dir+"kustomization.yaml"] = &fstest.MapFile{Data: []byte(text)}
	}
	folder("", 0)
	return files, Options{NamePrefix: []string{"", "e-"}[r.Intn(2)], TargetNamespace: []string{"", "t"}[r.Intn(2)]}
}

func TestLargeTreesAreDivided(t *testing.T) {
	s := newScan(t.Context(), newJail(pairs.Source(60)), nil)
	if _, err := s.render(Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.buildParts(absolute("."), s.order(absolute("."))); err != nil {
		t.Error("120 objects were built as a whole")
	}
}

func TestAFaultInAPartIsToldAsOfTheWhole(t *testing.T) {
	files := pairs.Source(60)
	files["kustomization.yaml"].Data = append(files["kustomization.yaml"].Data, "- target: {kind: VirtualDisk}\n  patch: '- {op: remove, path: /spec/none}'\n"...)
	_, err := Render(t.Context(), files, Options{})
	var fault *Error
	if !errors.As(err, &fault) || fault.File != "kustomization.yaml" {
		t.Errorf("Render() = %v, want a fault of kustomization.yaml", err)
	}
}
