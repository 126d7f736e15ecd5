//go:build e2e

package scenario

import (
	"context"
	"fmt"
	"hash/crc32"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/test/e2e/scenario"
)

func (p *platform) machine(ctx context.Context) (*v1alpha2.VirtualMachine, error) {
	vm := &v1alpha2.VirtualMachine{}
	return vm, p.client.Get(ctx, key("web"), vm)
}

func (p *platform) disk(ctx context.Context) (*v1alpha2.VirtualDisk, error) {
	disk := &v1alpha2.VirtualDisk{}
	return disk, p.client.Get(ctx, key("web-root"), disk)
}

// moreCores pushes a change that waits for a restart, and restarts by an operation.
func moreCores(t *testing.T, p *platform, repo repository) {
	repo.replace(t, "machine.yaml", "cores: 1", "cores: 2")
	repo.push(t, "Give web a second core")
	p.eventually(t, patience, "the change awaits a restart", func(ctx context.Context) error {
		vm, err := p.machine(ctx)
		if err != nil {
			return err
		}
		if len(vm.Status.RestartAwaitingChanges) != 1 || vm.Status.RestartAwaitingChanges[0].Path != "cpu.cores" {
			return fmt.Errorf("restartAwaitingChanges %+v", vm.Status.RestartAwaitingChanges)
		}
		return nil
	})
	if got := p.guest(t, "nproc"); got != "1" {
		t.Errorf("nproc before the restart says %s, want 1", got)
	}
	restart := &v1alpha2.VirtualMachineOperation{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "restart-"},
		Spec:       v1alpha2.VirtualMachineOperationSpec{Type: v1alpha2.OperationRestart, VirtualMachineName: "web"},
	}
	must(t, p.client.Create(t.Context(), restart))
	p.eventually(t, 2*patience, "two cores after the restart", func(ctx context.Context) error {
		out, err := p.run(ctx, "nproc")
		if err == nil && out != "2" {
			err = fmt.Errorf("nproc says %s", out)
		}
		return err
	})
	p.healthyAt(t, "")
}

// removeAndRevert: the disk outlives its machine and its own manifest.
func removeAndRevert(t *testing.T, p *platform, repo repository) {
	before, err := p.disk(t.Context())
	must(t, err)
	must(t, os.Remove(filepath.Join(repo.dir, "machine.yaml")))
	repo.push(t, "Retire web")
	p.eventually(t, patience, "the machine is gone", func(ctx context.Context) error {
		if _, err := p.machine(ctx); !apierrors.IsNotFound(err) {
			return fmt.Errorf("get machine: %v", err)
		}
		return nil
	})
	must(t, os.Remove(filepath.Join(repo.dir, "disk.yaml")))
	retired := repo.push(t, "Retire its disk, too")
	p.eventually(t, patience, "the disk is retained", func(ctx context.Context) error {
		env := &v1alpha1.Environment{}
		if err := p.client.Get(ctx, key("demo"), env); err != nil {
			return err
		}
		if !strings.HasSuffix(env.Status.LastAppliedRevision, retired) || len(env.Status.Tombstones) == 0 {
			return fmt.Errorf("at %s, tombstones %v", env.Status.LastAppliedRevision, env.Status.Tombstones)
		}
		_, err := p.disk(ctx)
		return err
	})
	p.healthyAt(t, repo.revert(t, "HEAD", "HEAD~1"))
	after, err := p.disk(t.Context())
	must(t, err)
	if before.UID != after.UID {
		t.Errorf("the disk is another one: %s, was %s", after.UID, before.UID)
	}
	if got := p.guest(t, "cat /data/precious"); got != "precious" {
		t.Errorf("data on the disk: %q", got)
	}
}

// badInputs pushes each of them, waits until the user is told, sees that the machine was not harmed, and takes it back.
func badInputs(t *testing.T, p *platform, repo repository, sample string) {
	hostile := httptest.NewServer(scenario.Hostile())
	t.Cleanup(hostile.Close)
	at := p.expose(t, strings.TrimPrefix(hostile.URL, "http://"))
	for name, bad := range scenario.BadInputs("http://"+at, sample) {
		t.Run(name, func(t *testing.T) { tellAndHeal(t, p, repo, bad) })
	}
}

func tellAndHeal(t *testing.T, p *platform, repo repository, bad scenario.BadInput) {
	running, err := p.machine(t.Context())
	must(t, err)
	name := fmt.Sprintf("bad-%08x", crc32.ChecksumIEEE([]byte(t.Name())))
	for file, text := range bad.Files {
		repo.write(t, file, strings.ReplaceAll(text, "NAME", name))
	}
	if bad.Link != "" {
		must(t, os.Symlink("/etc/passwd", filepath.Join(repo.dir, bad.Link)))
	}
	repo.push(t, "Break: "+t.Name())
	defer func() { p.healthyAt(t, repo.revert(t, "HEAD")) }()
	says := strings.Split(strings.ReplaceAll(strings.Join(bad.Says, "\n"), "NAME", name), "\n")
	p.eventually(t, patience, fmt.Sprintf("the user is told %q", says), func(ctx context.Context) error {
		conditions, err := p.conditions(ctx, bad.Told, name)
		if err != nil {
			return err
		}
		return scenario.Told(conditions, says)
	})
	after, err := p.machine(t.Context())
	must(t, err)
	if after.UID != running.UID || after.Status.Phase != v1alpha2.MachineRunning {
		t.Errorf("the machine was harmed: phase %s", after.Status.Phase)
	}
}

func (p *platform) conditions(ctx context.Context, of scenario.Teller, name string) ([]metav1.Condition, error) {
	switch of {
	case scenario.Image:
		o := &v1alpha2.VirtualImage{}
		err := p.client.Get(ctx, key(name), o)
		return o.Status.Conditions, err
	case scenario.Disk:
		o := &v1alpha2.VirtualDisk{}
		err := p.client.Get(ctx, key(name), o)
		return o.Status.Conditions, err
	case scenario.Machine:
		o := &v1alpha2.VirtualMachine{}
		err := p.client.Get(ctx, key(name), o)
		return o.Status.Conditions, err
	}
	o := &v1alpha1.Environment{}
	err := p.client.Get(ctx, key("demo"), o)
	return o.Status.Conditions, err
}
