//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"hash/crc32"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/test/e2e/scenario"
)

// tellers finds the conditions by which the user is told of a bad input.
var tellers = map[scenario.Teller]func(ctx context.Context, s *stack, name string) ([]metav1.Condition, error){
	scenario.Environment: ofEnvironment, scenario.Image: ofImage, scenario.Disk: ofDisk, scenario.Machine: ofMachine,
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

func badInputs(t *testing.T, s *stack, repo repository) {
	hostile := httptest.NewServer(scenario.Hostile())
	t.Cleanup(hostile.Close)
	for name, bad := range scenario.BadInputs(hostile.URL, sampleURL(t, repo)) {
		t.Run(name, func(t *testing.T) { tellAndHeal(t, s, repo, bad) })
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
func tellAndHeal(t *testing.T, s *stack, repo repository, bad scenario.BadInput) {
	running, err := s.machine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("bad-%08x", crc32.ChecksumIEEE([]byte(t.Name())))
	for file, text := range bad.Files {
		repo.write(t, file, strings.ReplaceAll(text, "NAME", name))
	}
	says := strings.Split(strings.ReplaceAll(strings.Join(bad.Says, "\n"), "NAME", name), "\n")
	if bad.Link != "" {
		if err := os.Symlink("/etc/passwd", repo.dir+"/"+bad.Link); err != nil {
			t.Fatal(err)
		}
	}
	repo.push(t, "Break: "+t.Name())
	defer func() {
		repo.git(t, "revert", "--no-edit", "HEAD")
		repo.git(t, "push", "--quiet")
		s.healthyAt(t, strings.TrimSpace(repo.git(t, "rev-parse", "HEAD")))
	}()
	s.isTold(t, tellers[bad.Told], name, says...)
	after, err := s.machine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if after.UID != running.UID || after.Status.Phase != v1alpha2.MachineRunning {
		t.Errorf("the machine was harmed: phase %s", after.Status.Phase)
	}
}
