package scenario

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
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
	// otherData mounts the data of every disk but the first one at /tmp/other.
	otherData = `mkdir -p /tmp/other && for device in $(blkid | sed -n 's/^\([^:]*\):.*LABEL="data".*/\1/p'); do ` +
		`grep -q "^$device " /proc/mounts || mount $device /tmp/other; done && cat /tmp/other/precious && ls /tmp/other`
	// diskSectors prints the size of the disk with the data, in sectors of 512 bytes.
	diskSectors = `cat /sys/class/block/$(sed -n 's,^/dev/\([a-z]*\)[0-9]* /data .*,\1,p' /proc/mounts)/size`
)

// SnapshotRestored takes a snapshot of the machine's disk while the guest writes to it, and gives the machine a disk made from
// that: it holds what was there then, and nothing that came later.
func (d *Demo) SnapshotRestored(t *testing.T) {
	d.Repository.Write(t, "snapshot.yaml", snapshotManifest)
	d.Repository.Push(t, "Take a snapshot")
	Eventually(t, Patience, "the snapshot is ready", func(ctx context.Context) error {
		snapshot, err := read(ctx, d.Client, "web-root", &v1alpha2.VirtualDiskSnapshot{})
		if err == nil && (snapshot.Status.Phase != v1alpha2.SnapshotReady || !ptr.Deref(snapshot.Status.Consistent, false)) {
			err = fmt.Errorf("phase %s: %+v", snapshot.Status.Phase, snapshot.Status.Conditions)
		}
		return err
	})
	d.Guest(t, "touch /data/late && sync")
	d.Repository.Write(t, "restored.yaml", restoredManifest)
	d.Repository.Replace(t, "machine.yaml", "    name: web-root\n", "    name: web-root\n  - kind: VirtualDisk\n    name: restored\n")
	d.Repository.Push(t, "Give web a disk with the data of then")
	Eventually(t, Patience, "the disk awaits a restart", func(ctx context.Context) error {
		machine, err := d.Machine(ctx)
		if err == nil && len(machine.Status.RestartAwaitingChanges) == 0 {
			err = errors.New("nothing does")
		}
		return err
	})
	d.Completed(t, d.Operate(t, v1alpha2.OperationRestart))
	d.HealthyAt(t, "")
	if got := strings.Fields(d.Guest(t, otherData)); got[0] != precious || strings.Contains(strings.Join(got, " "), "late") {
		t.Errorf("the disk made from the snapshot holds %q", got)
	}
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
