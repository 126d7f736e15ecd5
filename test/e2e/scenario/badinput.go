package scenario

import (
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// Teller is the kind of the object whose conditions tell of a bad input.
type Teller int

// The objects that tell.
const (
	// Environment is the one that applies the input.
	Environment Teller = iota
	// Image, Disk, Machine and Source are objects of the input's own name.
	Image
	Disk
	Machine
	Source
)

// badInput is one change to the demo that must not go through: what is written, and what the user has to be told. NAME stands
// for a name of its own, so that no object that an earlier change left behind can answer for it.
type badInput struct {
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

// imageManifest is a VirtualImage named NAME from a web server.
func imageManifest(url, checksum string) string {
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

// hostileImages serves images that no one should get.
func hostileImages() http.Handler {
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

// badInputs are all of them, by what is wrong. At hostile a server serves hostileImages, at sample lies a good image.
func badInputs(hostile, sample string) map[string]badInput {
	return map[string]badInput{
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
			Files: one(imageManifest(hostile+"/missing", "")),
			Told:  Image, Says: []string{"ProvisioningFailed", "404"},
		},
		"an image that stops half-way": {
			Files: one(imageManifest(hostile+"/cut", "")),
			Told:  Image, Says: []string{"ProvisioningFailed", "/cut"},
		},
		"an image with the wrong checksum": {
			Files: one(imageManifest(sample, strings.Repeat("0", 64))),
			Told:  Image, Says: []string{"ProvisioningFailed", "sha256"},
		},
		"a page in place of an image": {
			Files: one(imageManifest(hostile+"/page", "")),
			Told:  Image, Says: []string{"ProvisioningFailed", "HTML"},
		},
	}
}

// BadInputs pushes each bad input, waits until the user is told, sees that the machine was not harmed, and takes it back.
func (d *Demo) BadInputs(t *testing.T) {
	hostile := httptest.NewServer(hostileImages())
	t.Cleanup(hostile.Close)
	for name, bad := range badInputs(d.Expose(t, hostile.URL), d.sampleURL(t)) {
		t.Run(name, func(t *testing.T) { d.tellAndHeal(t, bad) })
	}
}

// sampleURL reads the address of a good image from the demo's own manifest.
func (d *Demo) sampleURL(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(d.Repository.Dir, "image.yaml"))
	Must(t, err)
	for line := range strings.Lines(string(text)) {
		if url, found := strings.CutPrefix(strings.TrimSpace(line), "url: "); found {
			return url
		}
	}
	t.Fatal("image.yaml has no url")
	return ""
}

func (d *Demo) tellAndHeal(t *testing.T, bad badInput) {
	running, err := d.Machine(t.Context())
	Must(t, err)
	name := fmt.Sprintf("bad-%08x", crc32.ChecksumIEEE([]byte(t.Name())))
	for file, text := range bad.Files {
		d.Repository.Write(t, file, strings.ReplaceAll(text, "NAME", name))
	}
	if bad.Link != "" {
		Must(t, os.Symlink("/etc/passwd", filepath.Join(d.Repository.Dir, bad.Link)))
	}
	d.Repository.Push(t, "Break: "+t.Name())
	defer func() { d.HealthyAt(t, d.Repository.Revert(t, "HEAD")) }()
	d.IsTold(t, bad.Told, name, strings.Split(strings.ReplaceAll(strings.Join(bad.Says, "\n"), "NAME", name), "\n")...)
	after, err := d.Machine(t.Context())
	Must(t, err)
	if after.UID != running.UID || after.Status.Phase != v1alpha2.MachineRunning {
		t.Errorf("the machine was harmed: phase %s", after.Status.Phase)
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
