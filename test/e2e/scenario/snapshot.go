package scenario

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/utils/ptr"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

const (
	snapshotManifest = `apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDiskSnapshot
metadata:
  name: web-root
spec:
  virtualDiskName: web-root
  requiredConsistency: true
`
	restoredManifest = `apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualDisk
metadata:
  name: restored
spec:
  dataSource:
    type: ObjectRef
    objectRef:
      kind: VirtualDiskSnapshot
      name: web-root
`
	// diskSectors prints the size of the disk with the data, in sectors of 512 bytes.
	diskSectors = `cat /sys/class/block/$(sed -n 's,^/dev/\([a-z]*\)[0-9]* /data .*,\1,p' /proc/mounts)/size`
)

// SnapshotRestored takes a snapshot of the machine's disk while the guest runs, has the machine boot from a disk made from that,
// which holds what was there then and nothing that came later, and from its own disk again.
func (d *Demo) SnapshotRestored(t *testing.T) {
	const late = "cat /data/late 2>/dev/null || echo nothing"
	d.Repository.Write(t, "snapshot.yaml", snapshotManifest)
	d.Repository.Push(t, "Take a snapshot")
	Eventually(t, Patience, "the snapshot is ready", func(ctx context.Context) error {
		snapshot, err := read(ctx, d.Client, "web-root", &v1alpha2.VirtualDiskSnapshot{})
		if err == nil && (snapshot.Status.Phase != v1alpha2.SnapshotReady || !ptr.Deref(snapshot.Status.Consistent, false)) {
			err = fmt.Errorf("phase %s: %+v", snapshot.Status.Phase, snapshot.Status.Conditions)
		}
		return err
	})
	d.Guest(t, "echo late > /data/late && sync")
	d.Repository.Write(t, "restored.yaml", restoredManifest)
	d.bootFrom(t, "web-root", "restored")
	d.DataIsThere(t)
	if got := d.Guest(t, late); got != "nothing" {
		t.Errorf("the disk made from the snapshot holds %q, which came later", got)
	}
	d.bootFrom(t, "restored", "web-root")
	if got := d.Guest(t, late); got != "late" {
		t.Errorf("the machine's own disk holds %q, want late", got)
	}
}

// bootFrom puts one disk in the place of another.
func (d *Demo) bootFrom(t *testing.T, before, disk string) {
	t.Helper()
	d.Repository.Replace(t, "machine.yaml", "    name: "+before+"\n", "    name: "+disk+"\n")
	d.Repository.Push(t, "Boot web from "+disk)
	Eventually(t, Patience, "the disk awaits a restart", func(ctx context.Context) error {
		machine, err := d.Machine(ctx)
		if err == nil && len(machine.Status.RestartAwaitingChanges) == 0 {
			err = errors.New("nothing does")
		}
		return err
	})
	d.Completed(t, d.Operate(t, v1alpha2.OperationRestart))
	d.HealthyAt(t, "")
}

// DiskGrown asks for a larger disk in Git: it grows under the guest, which runs on.
func (d *Demo) DiskGrown(t *testing.T) {
	const size, sectors = "192Mi", 192 << 20 / 512
	boots := d.Boots(t)
	d.Repository.Replace(t, "disk.yaml", "size: 128Mi", "size: "+size)
	d.Repository.Push(t, "Grow the disk of web")
	Eventually(t, Patience, "the disk has "+size, func(ctx context.Context) error {
		disk, err := d.Disk(ctx)
		if err != nil {
			return err
		}
		capacity, err := resource.ParseQuantity(disk.Status.Capacity)
		if err == nil && (capacity.Cmp(resource.MustParse(size)) < 0 || disk.Status.Phase != v1alpha2.DiskReady) {
			err = fmt.Errorf("%s, phase %s: %+v", disk.Status.Capacity, disk.Status.Phase, disk.Status.Conditions)
		}
		return err
	})
	Eventually(t, Patience, "the guest sees it", func(ctx context.Context) error {
		out, err := d.Run(ctx, diskSectors)
		if err != nil {
			return err
		}
		if got, err := strconv.Atoi(out); err != nil || got < sectors {
			return fmt.Errorf("sectors %q, want %d", out, sectors)
		}
		return nil
	})
	d.StillRuns(t, boots)
}
