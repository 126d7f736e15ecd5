//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

const namespace = "demo"

// bootTime is how long a guest may take under software emulation on a busy machine.
const bootTime = 2 * patience

func key(name string) client.ObjectKey { return client.ObjectKey{Namespace: namespace, Name: name} }

func (s *stack) environment(ctx context.Context) (*v1alpha1.Environment, error) {
	env := &v1alpha1.Environment{}
	return env, s.client.Get(ctx, key("demo"), env)
}

func (s *stack) machine(ctx context.Context) (*v1alpha2.VirtualMachine, error) {
	vm := &v1alpha2.VirtualMachine{}
	return vm, s.client.Get(ctx, key("web"), vm)
}

func (s *stack) disk(ctx context.Context) (*v1alpha2.VirtualDisk, error) {
	disk := &v1alpha2.VirtualDisk{}
	return disk, s.client.Get(ctx, key("web-root"), disk)
}

// healthyAt waits until the Environment is ready at a commit; any when empty.
func (s *stack) healthyAt(t *testing.T, commit string) {
	t.Helper()
	s.eventually(t, bootTime, "Environment demo is ready at "+commit, func(ctx context.Context) error {
		env, err := s.environment(ctx)
		if err != nil {
			return err
		}
		ready := meta.FindStatusCondition(env.Status.Conditions, v1alpha1.ReadyCondition)
		if ready == nil || ready.Status != metav1.ConditionTrue || !strings.HasSuffix(env.Status.LastAppliedRevision, commit) {
			return fmt.Errorf("at %s: %+v, problems %+v", env.Status.LastAppliedRevision, ready, env.Status.Health)
		}
		return nil
	})
}

// TestStory is the README's walk-through, then what may go wrong around it.
func TestStory(t *testing.T) {
	s := newStack(t)
	s.start(t)
	killDuringImport(t, s)
	s.healthyAt(t, "")
	var repo repository
	distant := newFar(t, s)
	stalled := beginStall(t, distant)

	steps := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"a guest booted from Git with its user data applied", func(t *testing.T) {
			if got, want := s.guest(t, "cat /data/hello"), "Hello from Git"; got != want {
				t.Errorf("first boot wrote %q, want %q", got, want)
			}
			s.guest(t, "echo precious > /data/precious && sync")
			repo = s.clone(t)
		}},
		{"a core more is planned as a restart and waits for approval", func(t *testing.T) { moreCores(t, s, repo) }},
		{"restart applies it", func(t *testing.T) {
			s.must(t, "restart", "web")
			if got := s.guest(t, "nproc"); got != "2" {
				t.Errorf("nproc after the restart says %s, want 2", got)
			}
			s.healthyAt(t, "")
		}},
		{"removing the machine retains its disk; a revert brings both together again", func(t *testing.T) { removeAndRevert(t, s, repo) }},
		{"bad input is told clearly, harms nothing and heals", func(t *testing.T) { badInputs(t, s, repo) }},
		{"an image server that falls silent is told, and the import goes on when it speaks again", func(t *testing.T) { endStall(t, s, stalled) }},
		{"the Git server away: the last state goes on", func(t *testing.T) { gitServerAway(t, s, distant) }},
		{"DVCR away in mid-import", func(t *testing.T) { registryAway(t, s, distant) }},
		{"disk space gone in mid-import", func(t *testing.T) { spaceGone(t, s, distant) }},
		{"the controller killed in mid-apply: the end is the same", func(t *testing.T) { killDuringApply(t, s, distant) }},
		{"the controller killed: the guest runs on and is adopted", func(t *testing.T) { killController(t, s) }},
		{"QEMU killed: the machine starts again", func(t *testing.T) { killGuest(t, s) }},
		{"Ctrl-C leaves no process; the next start finds machines and disks", func(t *testing.T) { stopAndStart(t, s) }},
		{"every commit carries a note with its health", func(t *testing.T) { notes(t, s, repo) }},
	}
	for _, step := range steps {
		if !t.Run(step.name, step.run) {
			return
		}
	}
}

// killDuringImport kills the controller as soon as the image is on its way, which
// is also in the middle of applying what stands behind it, and starts it again.
func killDuringImport(t *testing.T, s *stack) {
	s.eventually(t, patience, "the image is being imported", func(ctx context.Context) error {
		image := &v1alpha2.VirtualImage{}
		if err := s.client.Get(ctx, key("sample"), image); err != nil {
			return err
		}
		if image.Status.Phase != v1alpha2.ImageProvisioning && image.Status.Phase != v1alpha2.ImageReady {
			return fmt.Errorf("phase %s", image.Status.Phase)
		}
		return nil
	})
	s.kill(t)
	s.start(t)
}

func moreCores(t *testing.T, s *stack, repo repository) {
	repo.replace(t, "machine.yaml", "cores: 1", "cores: 2")
	planned := s.must(t, "plan", "demo", repo.dir)
	if !strings.Contains(planned, "Restart") || !strings.Contains(planned, "cpu.cores") {
		t.Errorf("slipway plan does not say that the change restarts the machine:\n%s", planned)
	}
	repo.push(t, "Give web a second core")
	s.eventually(t, patience, "the change awaits a restart", func(ctx context.Context) error {
		vm, err := s.machine(ctx)
		if err != nil {
			return err
		}
		if len(vm.Status.RestartAwaitingChanges) != 1 || vm.Status.RestartAwaitingChanges[0].Path != "cpu.cores" {
			return fmt.Errorf("restartAwaitingChanges %+v", vm.Status.RestartAwaitingChanges)
		}
		return nil
	})
	env, err := s.environment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if env.Status.Plan == nil || env.Status.Plan.Summary.Restart != 1 {
		t.Errorf("plan %+v, want one Restart", env.Status.Plan)
	}
	if got := s.guest(t, "nproc"); got != "1" {
		t.Errorf("nproc before the restart says %s, want 1", got)
	}
}

func removeAndRevert(t *testing.T, s *stack, repo repository) {
	before, err := s.disk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(repo.dir, "machine.yaml")); err != nil {
		t.Fatal(err)
	}
	repo.push(t, "Retire web")
	s.eventually(t, patience, "the machine is gone", func(ctx context.Context) error {
		if _, err := s.machine(ctx); !apierrors.IsNotFound(err) {
			return fmt.Errorf("get machine: %v", err)
		}
		return nil
	})
	if _, err := s.disk(t.Context()); err != nil {
		t.Fatalf("the disk after its machine left Git: %v", err)
	}
	if err := os.Remove(filepath.Join(repo.dir, "disk.yaml")); err != nil {
		t.Fatal(err)
	}
	repo.push(t, "Retire its disk, too")
	s.eventually(t, patience, "the disk is listed as retained", func(context.Context) error {
		if out := s.must(t, "get", "disks"); !strings.Contains(out, "retained") {
			return fmt.Errorf("slipway get disks:\n%s", out)
		}
		return nil
	})
	repo.git(t, "revert", "--no-edit", "HEAD", "HEAD~1")
	repo.git(t, "push", "--quiet")
	s.healthyAt(t, strings.TrimSpace(repo.git(t, "rev-parse", "HEAD")))
	after, err := s.disk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if before.UID != after.UID {
		t.Errorf("the disk is another one: %s, was %s", after.UID, before.UID)
	}
	if got := s.guest(t, "cat /data/precious"); got != "precious" {
		t.Errorf("data on the disk: %q", got)
	}
}

func killController(t *testing.T, s *stack) {
	boots := s.guest(t, "cat /data/boots")
	guests := qemus(t, s)
	s.kill(t)
	if diff := len(qemus(t, s)); diff != len(guests) {
		t.Fatalf("%d guests run after the controller was killed, want %d", diff, len(guests))
	}
	s.start(t)
	s.healthyAt(t, "")
	if got := s.guest(t, "cat /data/boots"); got != boots {
		t.Errorf("boot counter %s after the controller came back, want %s: the guest was restarted", got, boots)
	}
	for pid := range guests {
		if _, runs := qemus(t, s)[pid]; !runs {
			t.Errorf("guest process %d was not adopted", pid)
		}
	}
}

func killGuest(t *testing.T, s *stack) {
	boots := s.guest(t, "cat /data/boots")
	old := qemus(t, s)
	for pid := range old {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	s.eventually(t, bootTime, "the machine runs again", func(ctx context.Context) error {
		vm, err := s.machine(ctx)
		if err != nil {
			return err
		}
		for pid := range qemus(t, s) {
			if _, same := old[pid]; !same && vm.Status.Phase == v1alpha2.MachineRunning {
				return nil
			}
		}
		return fmt.Errorf("phase %s", vm.Status.Phase)
	})
	if got := s.guest(t, "cat /data/boots"); got == boots {
		t.Errorf("boot counter is still %s", got)
	}
}

func stopAndStart(t *testing.T, s *stack) {
	s.interrupt(t)
	if left := processesOf(t, s.layout.Root); len(left) > 0 {
		t.Fatalf("processes left after Ctrl-C: %v", left)
	}
	s.start(t)
	s.healthyAt(t, "")
	if got := s.guest(t, "cat /data/precious"); got != "precious" {
		t.Errorf("data after a stop and a start: %q", got)
	}
}

func notes(t *testing.T, s *stack, repo repository) {
	head := strings.TrimSpace(repo.git(t, "rev-parse", "HEAD"))
	s.eventually(t, patience, "the commit has a note", func(context.Context) error {
		repo.git(t, "fetch", "--quiet", "--force", "origin", "refs/notes/slipway:refs/notes/slipway")
		if out := repo.git(t, "log", "--notes=slipway", "-1", "--format=%N", head); !strings.Contains(strings.ToLower(out), "healthy") {
			return fmt.Errorf("note of %s: %q", head, out)
		}
		return nil
	})
}

func qemus(t *testing.T, s *stack) map[int]string {
	t.Helper()
	guests := map[int]string{}
	for pid, line := range processesOf(t, s.layout.Root) {
		if strings.HasPrefix(filepath.Base(strings.Fields(line)[0]), "qemu-system") {
			guests[pid] = line
		}
	}
	return guests
}
