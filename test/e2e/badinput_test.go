//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// badInput is one change that must not go through: what is written, and what the
// user has to be told. NAME stands for a name of its own, so that no object that
// an earlier change left behind can answer for it.
type badInput struct {
	files map[string]string
	link  string
	where func(ctx context.Context, s *stack, name string) ([]metav1.Condition, error)
	says  []string
}

func ofEnvironment(ctx context.Context, s *stack, _ string) ([]metav1.Condition, error) {
	env, err := s.environment(ctx)
	return env.Status.Conditions, err
}

func ofImage(ctx context.Context, s *stack, name string) ([]metav1.Condition, error) {
	image := &v1alpha2.VirtualImage{}
	err := s.client.Get(ctx, key(name), image)
	return image.Status.Conditions, err
}

func ofDisk(ctx context.Context, s *stack, name string) ([]metav1.Condition, error) {
	disk := &v1alpha2.VirtualDisk{}
	err := s.client.Get(ctx, key(name), disk)
	return disk.Status.Conditions, err
}

func ofMachine(ctx context.Context, s *stack, name string) ([]metav1.Condition, error) {
	vm := &v1alpha2.VirtualMachine{}
	err := s.client.Get(ctx, key(name), vm)
	return vm.Status.Conditions, err
}

func image(url, checksum string) map[string]string {
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
	return map[string]string{"bad.yaml": text}
}

func machine(class, disk string, cores int) map[string]string {
	return map[string]string{"bad.yaml": fmt.Sprintf(`apiVersion: virtualization.deckhouse.io/v1alpha2
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
`, class, cores, disk)}
}

func disk(source, size string) map[string]string {
	return map[string]string{"bad.yaml": fmt.Sprintf(`apiVersion: virtualization.deckhouse.io/v1alpha2
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
`, size, source)}
}

// hostile serves images that no one should get.
func hostile(t *testing.T) string {
	t.Helper()
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
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func badInputs(t *testing.T, s *stack, repo repository) {
	server := hostile(t)
	for name, tc := range map[string]badInput{
		"YAML that does not parse": {
			files: map[string]string{"bad.yaml": "apiVersion: v1\nkind: [\n"},
			where: ofEnvironment, says: []string{"bad.yaml"},
		},
		"an unknown field": {
			files: map[string]string{"bad.yaml": "apiVersion: virtualization.deckhouse.io/v1alpha2\nkind: VirtualDisk\nmetadata:\n  name: NAME\nspec:\n  sizee: 1Gi\n"},
			where: ofEnvironment, says: []string{"bad.yaml:6", "sizee"},
		},
		"a remote base": {
			files: map[string]string{"kustomization.yaml": "resources:\n- https://git.example.com/team/base?ref=main\n- disk.yaml\n"},
			where: ofEnvironment, says: []string{"kustomization.yaml", "git.example.com"},
		},
		"a path out of the tree": {
			files: map[string]string{"kustomization.yaml": "resources:\n- ../../../../etc/passwd\n"},
			where: ofEnvironment, says: []string{"kustomization.yaml", "etc/passwd"},
		},
		"a symlink": {
			link:  "bad.yaml",
			where: ofEnvironment, says: []string{"bad.yaml", "symbolic link"},
		},
		"two objects with one name": {
			files: map[string]string{"bad.yaml": "apiVersion: virtualization.deckhouse.io/v1alpha2\nkind: VirtualDisk\nmetadata:\n  name: web-root\nspec:\n  persistentVolumeClaim:\n    size: 1Gi\n"},
			where: ofEnvironment, says: []string{"bad.yaml", "disk.yaml", "web-root"},
		},
		"a class that is not there": {
			files: machine("no-such-class", "web-root", 1),
			where: ofMachine, says: []string{"VirtualMachineClassReady", "no-such-class"},
		},
		"a disk that is not there": {
			files: machine("generic", "no-such-disk", 1),
			where: ofMachine, says: []string{"BlockDevicesReady", "no-such-disk"},
		},
		"an image that is not there": {
			files: disk("no-such-image", "1Gi"),
			where: ofDisk, says: []string{"DatasourceReady", "no-such-image"},
		},
		"a disk smaller than its image": {
			files: disk("sample", "1Mi"),
			where: ofDisk, says: []string{"Ready", "1Mi"},
		},
		"a core count outside of the class": {
			files: machine("generic", "web-root", 2000),
			where: ofEnvironment, says: []string{"NAME", "2000"},
		},
		"an image URL that is not found": {
			files: image(server+"/missing", ""),
			where: ofImage, says: []string{"ProvisioningFailed", "404"},
		},
		"an image that stops half-way": {
			files: image(server+"/cut", ""),
			where: ofImage, says: []string{"ProvisioningFailed", "/cut"},
		},
		"an image with the wrong checksum": {
			files: image(sampleURL(t, repo), strings.Repeat("0", 64)),
			where: ofImage, says: []string{"ProvisioningFailed", "sha256"},
		},
		"a page in place of an image": {
			files: image(server+"/page", ""),
			where: ofImage, says: []string{"ProvisioningFailed", "HTML"},
		},
	} {
		t.Run(name, func(t *testing.T) { tellAndHeal(t, s, repo, tc) })
	}
}

// sampleURL reads the address of a good image from the demo's own manifest.
func sampleURL(t *testing.T, repo repository) string {
	t.Helper()
	text, err := os.ReadFile(repo.dir + "/image.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if url, found := strings.CutPrefix(strings.TrimSpace(line), "url: "); found {
			return url
		}
	}
	t.Fatal("image.yaml has no url")
	return ""
}

// tellAndHeal pushes a bad change, waits until the user is told, looks whether
// the running machine was harmed, takes the change back and waits for health.
func tellAndHeal(t *testing.T, s *stack, repo repository, bad badInput) {
	running, err := s.machine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("bad-%08x", crc32.ChecksumIEEE([]byte(t.Name())))
	for file, text := range bad.files {
		repo.write(t, file, strings.ReplaceAll(text, "NAME", name))
	}
	says := strings.Split(strings.ReplaceAll(strings.Join(bad.says, "\n"), "NAME", name), "\n")
	if bad.link != "" {
		if err := os.Symlink("/etc/passwd", repo.dir+"/"+bad.link); err != nil {
			t.Fatal(err)
		}
	}
	repo.push(t, "Break: "+t.Name())
	defer func() {
		repo.git(t, "revert", "--no-edit", "HEAD")
		repo.git(t, "push", "--quiet")
		s.healthyAt(t, strings.TrimSpace(repo.git(t, "rev-parse", "HEAD")))
	}()
	s.isTold(t, bad.where, name, says...)
	after, err := s.machine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after.UID != running.UID || after.Status.Phase != v1alpha2.MachineRunning {
		t.Errorf("the machine was harmed: phase %s", after.Status.Phase)
	}
}

// told looks for one condition that is not true and names all the words.
func told(conditions []metav1.Condition, words []string) error {
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
