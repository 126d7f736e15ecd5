package kustomize

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The tests of this file try what others fell for, and are named after it.

// everyPath are kustomizations that lead to a path in each way that there is.
func everyPath(path string) map[string]string {
	return map[string]string{
		"resource":            "resources: ['" + path + "']\n",
		"base":                "bases: ['" + path + "']\n",
		"component":           "components: ['" + path + "']\n",
		"patch":               "resources: [vm.yaml]\npatches: [{path: '" + path + "'}]\n",
		"strategic patch":     "resources: [vm.yaml]\npatchesStrategicMerge: ['" + path + "']\n",
		"JSON patch":          "resources: [vm.yaml]\npatchesJson6902: [{path: '" + path + "', target: {version: v1, kind: X, name: a}}]\n",
		"replacement":         "resources: [vm.yaml]\nreplacements: [{path: '" + path + "'}]\n",
		"file of a ConfigMap": "configMapGenerator: [{name: a, files: ['" + path + "']}]\n",
		"named file":          "configMapGenerator: [{name: a, files: ['k=" + path + "']}]\n",
		"env of a ConfigMap":  "configMapGenerator: [{name: a, envs: ['" + path + "']}]\n",
		"file of a Secret":    "secretGenerator: [{name: a, files: ['" + path + "']}]\n",
		"env of a Secret":     "secretGenerator: [{name: a, envs: ['" + path + "']}]\n",
		"generator":           "generators: ['" + path + "']\n",
		"transformer":         "resources: [vm.yaml]\ntransformers: ['" + path + "']\n",
		"validator":           "resources: [vm.yaml]\nvalidators: ['" + path + "']\n",
		"configuration":       "resources: [vm.yaml]\nconfigurations: ['" + path + "']\n",
		"CRD":                 "resources: [vm.yaml]\ncrds: ['" + path + "']\n",
		"OpenAPI":             "resources: [vm.yaml]\nopenapi: {path: '" + path + "'}\n",
		"chart":               "helmGlobals: {chartHome: '" + path + "'}\nhelmCharts: [{name: a, valuesFile: '" + path + "'}]\n",
		"built-in generator":  "generators:\n- |-\n  apiVersion: builtin\n  kind: ConfigMapGenerator\n  metadata: {name: a}\n  files: ['" + path + "']\n",
		"built-in patch":      "resources: [vm.yaml]\ntransformers:\n- |-\n  apiVersion: builtin\n  kind: PatchTransformer\n  metadata: {name: a}\n  path: '" + path + "'\n",
	}
}

const token = "the-content-of-a-file-of-the-controller"

// attacked is a directory with a source in src, and a file beside it that no source may read.
func attacked(t *testing.T, kustomization string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range map[string]string{
		"secret.yaml":            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + token + "}\n",
		"src/kustomization.yaml": kustomization,
		"src/vm.yaml":            manifest("VirtualMachine", "web"),
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// refused renders a directory and checks that it is refused without showing what it wanted.
func refused(t *testing.T, source fs.FS) {
	t.Helper()
	objects, err := Render(t.Context(), source, Options{})
	var fault *Error
	if !errors.As(err, &fault) {
		t.Errorf("Render() = %v, %v, want a fault of the source", names(objects), err)
	}
	if err != nil && strings.Contains(err.Error(), token) {
		t.Errorf("%v\nshows the file", err)
	}
}

func TestCVE_2022_24877(t *testing.T) {
	for _, path := range []string{"../secret.yaml", "../src/../../secret.yaml", "/etc/passwd", "./../secret.yaml", "vm.yaml/../../secret.yaml", "..", "../../../../../../etc/passwd"} {
		for name, kustomization := range everyPath(path) {
			t.Run(name+" "+path, func(t *testing.T) { refused(t, os.DirFS(filepath.Join(attacked(t, kustomization), "src"))) })
		}
	}
}

func TestCVE_2022_24878(t *testing.T) {
	t.Run("recursive base", func(t *testing.T) {
		refused(t, source("kustomization.yaml", "resources: [a]\n", "a/kustomization.yaml", "resources: [..]\n"))
	})
	t.Run("itself", func(t *testing.T) { refused(t, source("kustomization.yaml", "resources: [.]\n")) })
	t.Run("component of itself", func(t *testing.T) { refused(t, source("kustomization.yaml", "components: ['./']\n")) })
	t.Run("root", func(t *testing.T) { refused(t, source("kustomization.yaml", "resources: [/]\n")) })
	t.Run("doubling", func(t *testing.T) { wantFault(t, doubling(30), Options{Path: "d0"}, "objects") })
	for name, kustomization := range everyPath("pipe") {
		t.Run("pipe as "+name, func(t *testing.T) {
			dir := filepath.Join(attacked(t, kustomization), "src")
			if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, os.DirFS(dir)) // whoever opens it waits for ever
		})
	}
}

// linked is attacked with a link in the source; the tree is one that follows links.
func linked(t *testing.T, kustomization, link, to string) fs.FS {
	t.Helper()
	dir := attacked(t, kustomization)
	if err := os.Symlink(to, filepath.Join(dir, "src", link)); err != nil {
		t.Fatal(err)
	}
	return os.DirFS(filepath.Join(dir, "src"))
}

func testLinks(t *testing.T) {
	for name, kustomization := range everyPath("link") {
		t.Run("link as "+name, func(t *testing.T) { refused(t, linked(t, kustomization, "link", "../secret.yaml")) })
		t.Run("link within as "+name, func(t *testing.T) { refused(t, linked(t, kustomization, "link", "vm.yaml")) })
	}
	for name, kustomization := range everyPath("link/secret.yaml") {
		t.Run("through a link as "+name, func(t *testing.T) { refused(t, linked(t, kustomization, "link", "..")) })
	}
}

// TestCVE_2022_24348, with CVE-2022-24730, CVE-2022-24731, CVE-2022-24904 and CVE-2022-31036: links that lead out of the source.
func TestCVE_2022_24348(t *testing.T) { testLinks(t) }

func TestCVE_2023_40026(t *testing.T) {
	for name, kustomization := range everyPath("a/b/link") {
		t.Run("chain of links as "+name, func(t *testing.T) {
			dir := attacked(t, kustomization)
			for link, to := range map[string]string{"a": "x", "x/b": "../y", "y/link": "../../secret.yaml"} {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, "src", link)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.MkdirAll(filepath.Join(dir, "src", "y"), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.MkdirAll(filepath.Join(dir, "src", "x"), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(to, filepath.Join(dir, "src", link)); err != nil {
					t.Fatal(err)
				}
			}
			refused(t, os.DirFS(filepath.Join(dir, "src")))
		})
	}
}

// TestCVE_2026_41050: nothing is fetched while rendering, so that no identity can be lent to it.
func TestCVE_2026_41050(t *testing.T) {
	for _, address := range []string{
		"https://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/a", "git::https://example.com/a.git", "ssh://git@example.com/a.git",
		"git@example.com:a/b", "github.com/a/b", "file:///etc", "ext::sh -c id", "oci://example.com/a", "HTTPS://EXAMPLE.COM/a", " https://example.com/a",
	} {
		for name, kustomization := range everyPath(address) {
			t.Run(name+" "+address, func(t *testing.T) {
				refused(t, source("kustomization.yaml", kustomization, "vm.yaml", manifest("VirtualMachine", "web")))
			})
		}
	}
}

// TestCVE_2023_40584 and its kin: huge input ends in a limit, not in the end of memory.
func TestCVE_2023_40584(t *testing.T) {
	t.Run("aliases", func(t *testing.T) { refused(t, source("a.yaml", bomb())) })
	t.Run("aliases in a kustomization", func(t *testing.T) {
		refused(t, source("kustomization.yaml", strings.Replace(bomb(), "kind: X", "kind: Kustomization", 1)))
	})
	t.Run("aliases in a patch", func(t *testing.T) {
		refused(t, source("kustomization.yaml", "resources: [vm.yaml]\npatches: [{path: p.yaml}]\n", "vm.yaml", manifest("VirtualMachine", "web"), "p.yaml", bomb()))
	})
	t.Run("nesting", func(t *testing.T) {
		refused(t, source("a.yaml", "apiVersion: v1\nkind: X\nmetadata: {name: a}\nspec: "+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+"\n"))
	})
}

// TestCVE_2021_41254: nothing of a source becomes part of a command, because there are no commands.
func TestCVE_2021_41254(t *testing.T) {
	for _, kind := range []string{"apiVersion: example.com/v1\nkind: Exec\nmetadata: {name: a, annotations: {config.kubernetes.io/function: 'exec: {path: /bin/sh}'}}", "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: a}", "apiVersion: someteam.example.com/v1\nkind: Anything\nmetadata: {name: a}"} {
		for _, field := range []string{"generators", "transformers", "validators"} {
			t.Run(field, func(t *testing.T) {
				refused(t, source("kustomization.yaml", fmt.Sprintf("resources: [vm.yaml]\n%s: [x.yaml]\n", field), "x.yaml", kind+"\n", "vm.yaml", manifest("VirtualMachine", "web")))
			})
		}
	}
}
