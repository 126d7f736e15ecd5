package scenario

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/test/e2e/compare"
)

const precious = "precious"

// Booted looks whether the guest booted from Git with its user data applied, and leaves data behind that later scenarios look
// for.
func (d *Demo) Booted(t *testing.T) {
	d.HealthyAt(t, d.Repository.Head(t))
	if got, want := d.Guest(t, "cat /data/hello"), "Hello from Git"; got != want {
		t.Errorf("first boot wrote %q, want %q", got, want)
	}
	d.Guest(t, "echo "+precious+" > /data/precious && sync")
	d.Recorded(t, compare.Running, "web")
}

// MoreCores asks for a core more in Git, which is planned as a restart and waits for approval.
func (d *Demo) MoreCores(t *testing.T) {
	d.Repository.Replace(t, "machine.yaml", "cores: 1", "cores: 2")
	d.Repository.Push(t, "Give web a second core")
	Eventually(t, Patience, "the change awaits a restart", func(ctx context.Context) error {
		vm, err := d.Machine(ctx)
		if err != nil {
			return err
		}
		if len(vm.Status.RestartAwaitingChanges) != 1 || vm.Status.RestartAwaitingChanges[0].Path != "cpu.cores" {
			return fmt.Errorf("restartAwaitingChanges %+v", vm.Status.RestartAwaitingChanges)
		}
		return nil
	})
	env, err := d.Environment(t.Context())
	Must(t, err)
	if env.Status.Plan == nil || env.Status.Plan.Summary.Restart != 1 {
		t.Errorf("plan %+v, want one Restart", env.Status.Plan)
	}
	if got := d.Guest(t, "nproc"); got != "1" {
		t.Errorf("nproc before the restart says %s, want 1", got)
	}
}

// Restarted looks whether the guest has the core after a restart, and all is well.
func (d *Demo) Restarted(t *testing.T) {
	Eventually(t, BootTime, "two cores after the restart", func(ctx context.Context) error {
		out, err := d.Run(ctx, "nproc")
		if err == nil && out != "2" {
			err = fmt.Errorf("nproc says %s", out)
		}
		return err
	})
	d.HealthyAt(t, "")
	d.Recorded(t, compare.Restarted, "web")
}

// Removed takes the manifest of the machine away, which goes, and then that of its disk, which stays.
func (d *Demo) Removed(t *testing.T) {
	d.Repository.Remove(t, "machine.yaml")
	d.Repository.Push(t, "Retire web")
	Eventually(t, Patience, "the machine is gone", func(ctx context.Context) error {
		_, err := d.Machine(ctx)
		if err == nil {
			return errors.New("it is there")
		}
		return client.IgnoreNotFound(err)
	})
	d.Repository.Remove(t, "disk.yaml")
	retired := d.Repository.Push(t, "Retire its disk, too")
	Eventually(t, Patience, "the disk is retained", func(ctx context.Context) error {
		env, err := d.Environment(ctx)
		if err != nil {
			return err
		}
		if !strings.HasSuffix(env.Status.LastAppliedRevision, retired) || len(env.Status.Tombstones) == 0 {
			return fmt.Errorf("at %s, tombstones %v", env.Status.LastAppliedRevision, env.Status.Tombstones)
		}
		_, err = d.Disk(ctx)
		return err
	})
}

// Reverted takes both commits of Removed back, which brings the machine back, on the disk that it had.
func (d *Demo) Reverted(t *testing.T, disk *v1alpha2.VirtualDisk) {
	d.HealthyAt(t, d.Repository.Revert(t, "HEAD", "HEAD~1"))
	after, err := d.Disk(t.Context())
	Must(t, err)
	if disk.UID != after.UID {
		t.Errorf("the disk is another one: %s, was %s", after.UID, disk.UID)
	}
	d.DataIsThere(t)
}

// DataIsThere looks for what Booted left behind.
func (d *Demo) DataIsThere(t *testing.T) {
	t.Helper()
	if got := d.Guest(t, "cat /data/precious"); got != precious {
		t.Errorf("data on the disk: %q", got)
	}
}

// Noted looks whether the commit carries a note with the health that it reached.
func (d *Demo) Noted(t *testing.T) {
	head := d.Repository.Head(t)
	Eventually(t, Patience, "the commit has a note", func(context.Context) error {
		d.Repository.Git(t, "fetch", "--quiet", "--force", "origin", "refs/notes/slipway:refs/notes/slipway")
		if out := d.Repository.Git(t, "log", "--notes=slipway", "-1", "--format=%N", head); !strings.Contains(strings.ToLower(out), "healthy") {
			return fmt.Errorf("note of %s: %q", head, out)
		}
		return nil
	})
}
