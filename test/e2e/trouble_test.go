//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/test/e2e/scenario"
)

// killDuringImport kills the controller as soon as the image is on its way, which is also in the middle of applying what stands
// behind it, and starts it again.
func killDuringImport(t *testing.T, s *stack, d *scenario.Demo) {
	scenario.Eventually(t, scenario.Patience, "the image is being imported", func(ctx context.Context) error {
		image := &v1alpha2.VirtualImage{}
		if err := s.client.Get(ctx, scenario.Key("sample"), image); err != nil {
			return err
		}
		if image.Status.Phase != v1alpha2.ImageProvisioning && image.Status.Phase != v1alpha2.ImageReady {
			return fmt.Errorf("phase %s", image.Status.Phase)
		}
		return nil
	})
	d.KillControllers(t)
	d.Recover(t)
}

// killController: the guest runs on, in the same process.
func killController(t *testing.T, s *stack, d *scenario.Demo) {
	guests := qemus(t, s)
	d.ControllersKilled(t)
	for pid := range guests {
		if _, runs := qemus(t, s)[pid]; !runs {
			t.Errorf("guest process %d was not adopted", pid)
		}
	}
}

func killGuest(t *testing.T, s *stack) {
	for pid := range qemus(t, s) {
		scenario.Must(t, syscall.Kill(pid, syscall.SIGKILL))
	}
}

// stopAndStart: Ctrl-C leaves no process; the next start finds the data.
func stopAndStart(t *testing.T, s *stack, d *scenario.Demo) {
	s.interrupt(t)
	if left := processesOf(t, s.layout.Root); len(left) > 0 {
		t.Fatalf("processes left after Ctrl-C: %v", left)
	}
	d.Recover(t)
	d.HealthyAt(t, "")
	d.DataIsThere(t)
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

// registryAway hides DVCR's storage while an image is on its way there.
func registryAway(t *testing.T, s *stack, f *scenario.Far) {
	s.needsMounts(t)
	image := f.Import(t, "homeless", 4*scenario.Mebibyte)
	scenario.Must(t, unix.Mount("none", s.layout.DVCR(), "tmpfs", unix.MS_RDONLY, "size=4k"))
	hidden := sync.OnceValue(func() error { return unix.Unmount(s.layout.DVCR(), unix.MNT_DETACH) })
	defer func() { _ = hidden() }()
	image.Release()
	image.IsTold(t, "Ready", "DVCR")
	scenario.Must(t, hidden())
	image.Arrives(t)
}

// spaceGone fills DVCR's disk while an image is on its way there.
func spaceGone(t *testing.T, s *stack, f *scenario.Far) {
	s.needsMounts(t)
	image := f.Import(t, "large", 48*scenario.Mebibyte)
	var stat unix.Statfs_t
	scenario.Must(t, unix.Statfs(s.layout.DVCR(), &stat))
	used := (stat.Blocks - stat.Bfree) * uint64(stat.Bsize)
	s.resizeRegistry(t, used+8*scenario.Mebibyte)
	image.Release()
	image.IsTold(t, "Ready", "no space left")
	s.resizeRegistry(t, registrySize)
	image.Arrives(t)
}

// registrySize is the size of the disk that stands under DVCR.
const registrySize = 512 * scenario.Mebibyte

// mountRegistry puts a disk of its own under DVCR, in memory, where that is allowed.
func (s *stack) mountRegistry() error {
	err := unix.Mount("none", s.layout.DVCR(), "tmpfs", 0, fmt.Sprintf("mode=700,size=%d", registrySize))
	s.mounted = err == nil
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return nil
	}
	return err
}

func (s *stack) unmountRegistry() error {
	if !s.mounted {
		return nil
	}
	return unix.Unmount(s.layout.DVCR(), 0)
}

func (s *stack) resizeRegistry(t *testing.T, bytes uint64) {
	t.Helper()
	scenario.Must(t, unix.Mount("none", s.layout.DVCR(), "tmpfs", unix.MS_REMOUNT, fmt.Sprintf("size=%d", bytes)))
}

func (s *stack) needsMounts(t *testing.T) {
	t.Helper()
	if !s.mounted {
		t.Skip("this test mounts file systems: run it as root")
	}
}
