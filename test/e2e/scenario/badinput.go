package scenario

import (
	"fmt"
	"net/http"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// Teller is the kind of the object whose conditions tell of a bad input.
type Teller int

// The objects that tell.
const (
	// Environment is the one that applies the input.
	Environment Teller = iota
	// Image, Disk and Machine are objects of the input's own name.
	Image
	Disk
	Machine
)

// BadInput is one change to the demo that must not go through: what is written, and what the user has to be told. NAME stands
// for a name of its own, so that no object that an earlier change left behind can answer for it.
type BadInput struct {
	// Files by name in the repository.
	Files map[string]string
	// Link is a symbolic link out of the repository.
	Link string
	// Told is who tells the user.
	Told Teller
	// Says are words that stand in one condition.
	Says []string
}

func one(manifest string) map[string]string { return map[string]string{"bad.yaml": manifest} }

// ImageManifest is a VirtualImage named NAME from a web server.
func ImageManifest(url, checksum string) string {
	text := `apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualImage
metadata:
  name: NAME
spec:
  storage: ContainerRegistry
  dataSource:
    type: HTTP
    http:
      url: ` + url + "\n"
	if checksum != "" {
		text += "      checksum:\n        sha256: \"" + checksum + "\"\n"
	}
	return text
}

func machineManifest(class, disk string, cores int) string {
	return fmt.Sprintf(`apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata:
  name: NAME
spec:
  virtualMachineClassName: %s
  runPolicy: AlwaysOn
  cpu:
    cores: %d
  memory:
    size: 128Mi
  blockDeviceRefs:
  - kind: VirtualDisk
    name: %s
`, class, cores, disk)
}

func diskManifest(source, size string) string {
	return fmt.Sprintf(`apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata:
  name: NAME
spec:
  persistentVolumeClaim:
    size: %s
  dataSource:
    type: ObjectRef
    objectRef:
      kind: VirtualImage
      name: %s
`, size, source)
}

// Hostile serves images that no one should get.
func Hostile() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>Log in</title>"+strings.Repeat("<p>not an image</p>", 100))
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "67108864")
		_, _ = w.Write(make([]byte, 1<<16))
		panic(http.ErrAbortHandler)
	})
	return mux
}

// BadInputs are all of them, by what is wrong. At hostile a server serves Hostile, at sample lies a good image.
func BadInputs(hostile, sample string) map[string]BadInput {
	return map[string]BadInput{
		"YAML that does not parse": {
			Files: map[string]string{"bad.yaml": "apiVersion: v1\nkind: [\n"},
			Told:  Environment, Says: []string{"bad.yaml"},
		},
		"an unknown field": {
			Files: map[string]string{"bad.yaml": "apiVersion: virtualization.deckhouse.io/v1alpha2\nkind: VirtualDisk\nmetadata:\n  name: NAME\nspec:\n  sizee: 1Gi\n"},
			Told:  Environment, Says: []string{"bad.yaml:6", "sizee"},
		},
		"a remote base": {
			Files: map[string]string{"kustomization.yaml": "resources:\n- https://git.example.com/team/base?ref=main\n- disk.yaml\n"},
			Told:  Environment, Says: []string{"kustomization.yaml", "git.example.com"},
		},
		"a path out of the tree": {
			Files: map[string]string{"kustomization.yaml": "resources:\n- ../../../../etc/passwd\n"},
			Told:  Environment, Says: []string{"kustomization.yaml", "etc/passwd"},
		},
		"a symlink": {
			Link: "bad.yaml",
			Told: Environment, Says: []string{"bad.yaml", "symbolic link"},
		},
		"two objects with one name": {
			Files: map[string]string{"bad.yaml": "apiVersion: virtualization.deckhouse.io/v1alpha2\nkind: VirtualDisk\nmetadata:\n  name: web-root\nspec:\n  persistentVolumeClaim:\n    size: 1Gi\n"},
			Told:  Environment, Says: []string{"bad.yaml", "disk.yaml", "web-root"},
		},
		"a class that is not there": {
			Files: one(machineManifest("no-such-class", "web-root", 1)),
			Told:  Machine, Says: []string{"VirtualMachineClassReady", "no-such-class"},
		},
		"a disk that is not there": {
			Files: one(machineManifest("generic", "no-such-disk", 1)),
			Told:  Machine, Says: []string{"BlockDevicesReady", "no-such-disk"},
		},
		"an image that is not there": {
			Files: one(diskManifest("no-such-image", "1Gi")),
			Told:  Disk, Says: []string{"DatasourceReady", "no-such-image"},
		},
		"a disk smaller than its image": {
			Files: one(diskManifest("sample", "1Mi")),
			Told:  Disk, Says: []string{"Ready", "1Mi"},
		},
		"a core count outside of the class": {
			Files: one(machineManifest("generic", "web-root", 2000)),
			Told:  Environment, Says: []string{"NAME", "2000"},
		},
		"an image URL that is not found": {
			Files: one(ImageManifest(hostile+"/missing", "")),
			Told:  Image, Says: []string{"ProvisioningFailed", "404"},
		},
		"an image that stops half-way": {
			Files: one(ImageManifest(hostile+"/cut", "")),
			Told:  Image, Says: []string{"ProvisioningFailed", "/cut"},
		},
		"an image with the wrong checksum": {
			Files: one(ImageManifest(sample, strings.Repeat("0", 64))),
			Told:  Image, Says: []string{"ProvisioningFailed", "sha256"},
		},
		"a page in place of an image": {
			Files: one(ImageManifest(hostile+"/page", "")),
			Told:  Image, Says: []string{"ProvisioningFailed", "HTML"},
		},
	}
}

// Told looks for one condition that is not true and names all the words.
func Told(conditions []metav1.Condition, words []string) error {
	for _, c := range conditions {
		text := c.Type + " " + c.Reason + " " + c.Message
		missing := ""
		for _, word := range words {
			if !strings.Contains(text, word) {
				missing = word
			}
		}
		if missing == "" && (c.Status != metav1.ConditionTrue || meta.IsStatusConditionTrue([]metav1.Condition{c}, v1alpha1.StalledCondition)) {
			return nil
		}
	}
	return fmt.Errorf("conditions %+v", conditions)
}
