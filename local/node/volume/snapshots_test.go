package volume

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slipway.dev/slipway/local/node/qemu"
)

func (f *fixture) snapshots(t *testing.T) *Snapshots {
	t.Helper()
	s, err := OpenSnapshots(filepath.Join(f.dir, "snapshots"), f.bases, func() time.Time { return time.Unix(1000, 0) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func noProgress(int64, int64) {}

// qemuIO reads and writes a disk as a guest would.
func qemuIO(t *testing.T, file, command string) {
	t.Helper()
	out, err := exec.Command("qemu-io", "-f", "qcow2", "-c", command, file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "verification failed") {
		t.Fatalf("qemu-io %s: %v: %s", command, err, out)
	}
}

func TestASnapshotHoldsWhatTheVolumeHeld(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	s := f.snapshots(t)
	must(t, f.create("v", 1<<20))
	qemuIO(t, f.store.File("v"), "write -P 17 64k 64k")
	must(t, s.Take(ctx, "s", f.store, "v", noProgress))
	qemuIO(t, f.store.File("v"), "write -P 18 64k 64k")
	must(t, f.store.Delete("v"))

	must(t, f.store.Restore(ctx, Record{ID: "w", Owner: "shop/w", Size: 2 << 20}, s, "s", noProgress))
	qemuIO(t, f.store.File("w"), "read -P 17 64k 64k")
	if size, err := qemu.ImageSize(ctx, f.store.File("w")); err != nil || size != 2<<20 {
		t.Errorf("size %d: %v", size, err)
	}
	if used, err := s.UsedBases(); err != nil || !used["sha256:aa"] {
		t.Errorf("used bases %v: %v", used, err)
	}
	err := f.store.Restore(ctx, Record{ID: "x", Size: 512}, s, "s", noProgress)
	if !errors.Is(err, ErrTooSmall) {
		t.Errorf("a volume smaller than the snapshot: %v", err)
	}
	must(t, s.Delete("s"))
	if err := f.store.Restore(ctx, Record{ID: "y", Size: 2 << 20}, s, "s", noProgress); !errors.Is(err, ErrNotFound) {
		t.Errorf("a snapshot that is gone: %v", err)
	}
}

func TestHalfMadeSnapshotsGoAndPendingOnesStay(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t)
	s := f.snapshots(t)
	must(t, f.create("v", 1<<20))
	must(t, os.MkdirAll(filepath.Join(f.dir, "snapshots", "half"), 0o700))
	p, err := s.Begin(ctx, "s", f.store, "v", "guest")
	must(t, err)
	s = f.snapshots(t)
	if _, err := os.Stat(filepath.Join(f.dir, "snapshots", "half")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a half-made snapshot is still there: %v", err)
	}
	if got, err := s.GetPending("s"); err != nil || got.Guest != "guest" || got.Volume != "v" {
		t.Fatalf("pending %+v: %v", got, err)
	}
	if used, err := s.UsedBases(); err != nil || !used["sha256:aa"] {
		t.Errorf("a pending snapshot uses %v: %v", used, err)
	}
	must(t, s.Close(p))
	must(t, s.Finish(p))
	if _, err := s.GetPending("s"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a finished snapshot is pending: %v", err)
	}
	if r, err := s.Get("s"); err != nil || r.Size != 1<<20 {
		t.Errorf("record %+v: %v", r, err)
	}
}

func TestRoomIsReservedForAGuestsCopyAndGivenBack(t *testing.T) {
	f := newFixture(t)
	s := f.snapshots(t)
	must(t, f.create("v", 64<<20))
	qemuIO(t, f.store.File("v"), "write -P 1 0 16M")
	p, err := s.Begin(context.Background(), "s", f.store, "v", "guest")
	must(t, err)
	if got := allocated(t, s.File("s")); got < 16<<20 {
		t.Errorf("%d bytes are reserved, want 16 MiB at least", got)
	}
	must(t, s.Finish(p))
	if got := allocated(t, s.File("s")); got > 1<<20 {
		t.Errorf("%d bytes are kept of an empty copy", got)
	}
}

func allocated(t *testing.T, file string) int64 {
	t.Helper()
	var stat unix.Stat_t
	must(t, unix.Stat(file, &stat))
	return stat.Blocks * 512
}

func TestSparseCopiesKeepHolesAndCanBeCancelled(t *testing.T) {
	dir := t.TempDir()
	from := filepath.Join(dir, "from")
	file, err := os.Create(from)
	must(t, err)
	_, err = file.WriteAt([]byte("end"), 64<<20)
	must(t, err)
	must(t, file.Close())
	must(t, copyFile(context.Background(), from, filepath.Join(dir, "to"), noProgress))
	data, err := os.ReadFile(filepath.Join(dir, "to"))
	must(t, err)
	if len(data) != 64<<20+3 || string(data[64<<20:]) != "end" || allocated(t, filepath.Join(dir, "to")) > 1<<20 {
		t.Errorf("copied %d bytes, %d allocated", len(data), allocated(t, filepath.Join(dir, "to")))
	}
	source, err := os.Open(from)
	must(t, err)
	defer source.Close()
	target, err := os.Create(filepath.Join(dir, "canceled"))
	must(t, err)
	defer target.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := copySparse(ctx, source, target, noProgress); !errors.Is(err, context.Canceled) {
		t.Errorf("a canceled copy: %v", err)
	}
}

func TestAReservedVolumeIsBusy(t *testing.T) {
	f := newFixture(t)
	release, err := f.store.Reserve("a", "b")
	must(t, err)
	if _, err := f.store.Reserve("b", "c"); !errors.Is(err, ErrBusy) {
		t.Errorf("reserved twice: %v", err)
	}
	release()
	release()
	if _, err := f.store.Reserve("b", "c"); err != nil {
		t.Errorf("after its release: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
