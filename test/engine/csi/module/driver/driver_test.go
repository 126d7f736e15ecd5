package driver

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func newDriver(t *testing.T) *Driver {
	t.Helper()
	store, err := NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return New(store, "node1")
}

func directory() []*csi.VolumeCapability {
	return []*csi.VolumeCapability{{AccessType: &csi.VolumeCapability_Mount{Mount: &csi.VolumeCapability_MountVolume{}}}}
}

func device() []*csi.VolumeCapability {
	return []*csi.VolumeCapability{{AccessType: &csi.VolumeCapability_Block{Block: &csi.VolumeCapability_BlockVolume{}}}}
}

func create(t *testing.T, d *Driver, name string, bytes int64, how []*csi.VolumeCapability, source *csi.VolumeContentSource) (*csi.Volume, codes.Code) {
	t.Helper()
	response, err := d.CreateVolume(t.Context(), &csi.CreateVolumeRequest{
		Name: name, CapacityRange: &csi.CapacityRange{RequiredBytes: bytes}, VolumeCapabilities: how, VolumeContentSource: source,
	})
	return response.GetVolume(), status.Code(err)
}

func ofVolume(id string) *csi.VolumeContentSource {
	return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: id}}}
}

func ofSnapshot(id string) *csi.VolumeContentSource {
	return &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Snapshot{Snapshot: &csi.VolumeContentSource_SnapshotSource{SnapshotId: id}}}
}

func TestVolumesAreMadeOnce(t *testing.T) {
	cases := map[string]struct {
		name   string
		bytes  int64
		how    []*csi.VolumeCapability
		source *csi.VolumeContentSource
		want   codes.Code
	}{
		"the same again":        {name: "data", bytes: 100, how: directory()},
		"another size":          {name: "data", bytes: 200, how: directory(), want: codes.AlreadyExists},
		"another mode":          {name: "data", bytes: 100, how: device(), want: codes.AlreadyExists},
		"a clone":               {name: "clone", bytes: 100, how: directory(), source: ofVolume("data")},
		"a larger clone":        {name: "clone", bytes: 300, how: directory(), source: ofVolume("data")},
		"a smaller clone":       {name: "clone", bytes: 99, how: directory(), source: ofVolume("data"), want: codes.OutOfRange},
		"a clone of nothing":    {name: "clone", bytes: 100, how: directory(), source: ofVolume("none"), want: codes.NotFound},
		"of no snapshot":        {name: "clone", bytes: 100, how: directory(), source: ofSnapshot("none"), want: codes.NotFound},
		"a clone as a device":   {name: "clone", bytes: 100, how: device(), source: ofVolume("data"), want: codes.AlreadyExists},
		"a name that leads out": {name: "../out", bytes: 100, how: directory(), want: codes.Internal},
		"no way to use it":      {name: "other", bytes: 100, want: codes.InvalidArgument},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := newDriver(t)
			if _, code := create(t, d, "data", 100, directory(), nil); code != codes.OK {
				t.Fatal(code)
			}
			volume, code := create(t, d, tc.name, tc.bytes, tc.how, tc.source)
			if code != tc.want {
				t.Fatalf("code %s, want %s", code, tc.want)
			}
			if code == codes.OK && volume.GetCapacityBytes() != tc.bytes {
				t.Errorf("capacity %d, want %d", volume.GetCapacityBytes(), tc.bytes)
			}
		})
	}
}

// A snapshot keeps what was there, and what is made of it is the same and its own.
func TestSnapshotKeepsTheContent(t *testing.T) {
	for name, how := range map[string][]*csi.VolumeCapability{"directory": directory(), "device": device()} {
		t.Run(name, func(t *testing.T) {
			d := newDriver(t)
			create(t, d, "data", 4096, how, nil)
			before := write(t, d, Volumes, "data", "before")
			first, err := d.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{SourceVolumeId: "data", Name: "snap"})
			if err != nil {
				t.Fatal(err)
			}
			write(t, d, Volumes, "data", "after!")
			again, err := d.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{SourceVolumeId: "data", Name: "snap"})
			if err != nil {
				t.Fatal(err)
			}
			if !again.Snapshot.CreationTime.AsTime().Equal(first.Snapshot.CreationTime.AsTime()) {
				t.Error("a snapshot that is asked for again is made again")
			}
			if _, code := create(t, d, "restored", 8192, how, ofSnapshot("snap")); code != codes.OK {
				t.Fatal(code)
			}
			if got := read(t, d, Volumes, "restored"); !bytes.HasPrefix(got, before) {
				t.Errorf("restored %.20q, want %q", got, before)
			}
		})
	}
}

func write(t *testing.T, d *Driver, kind, id, text string) []byte {
	t.Helper()
	path := place(t, d, kind, id)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte(text), 0); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

func read(t *testing.T, d *Driver, kind, id string) []byte {
	t.Helper()
	text, err := os.ReadFile(place(t, d, kind, id))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func place(t *testing.T, d *Driver, kind, id string) string {
	t.Helper()
	record, err := d.store.Get(kind, id)
	if err != nil {
		t.Fatal(err)
	}
	if record.Block {
		return d.store.Path(kind, id)
	}
	return filepath.Join(d.store.Path(kind, id), "file")
}

func TestDevicesGrow(t *testing.T) {
	d := newDriver(t)
	create(t, d, "data", 4096, device(), nil)
	grown, err := d.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{VolumeId: "data", CapacityRange: &csi.CapacityRange{RequiredBytes: 8192}})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(d.store.Path(Volumes, "data"))
	if err != nil {
		t.Fatal(err)
	}
	if grown.CapacityBytes != 8192 || !grown.NodeExpansionRequired || info.Size() != 8192 {
		t.Errorf("answer %+v, file of %d bytes", grown, info.Size())
	}
	smaller, err := d.ControllerExpandVolume(t.Context(), &csi.ControllerExpandVolumeRequest{VolumeId: "data", CapacityRange: &csi.CapacityRange{RequiredBytes: 100}})
	if err != nil || smaller.CapacityBytes != 8192 {
		t.Errorf("a smaller size gives %+v, %v; a volume never shrinks", smaller, err)
	}
}

// What was cut off in the middle is not there, and does not stand in the way.
func TestUnfinishedIsMadeAnew(t *testing.T) {
	d := newDriver(t)
	if err := os.MkdirAll(filepath.Join(d.store.dir, Volumes, "data"+unfinished, dataName), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.Get(Volumes, "data"); err == nil {
		t.Error("a volume without a record is there")
	}
	if _, code := create(t, d, "data", 100, directory(), nil); code != codes.OK {
		t.Errorf("code %s", code)
	}
}

func TestDeletedIsGone(t *testing.T) {
	d := newDriver(t)
	create(t, d, "data", 100, directory(), nil)
	for range 2 {
		if _, err := d.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "data"}); err != nil {
			t.Fatal(err)
		}
	}
	if entries, err := os.ReadDir(filepath.Join(d.store.dir, Volumes)); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	outside := filepath.Join(filepath.Dir(d.store.dir), "outside")
	if err := os.WriteFile(outside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.DeleteVolume(t.Context(), &csi.DeleteVolumeRequest{VolumeId: "../../outside"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error("a handle led out of the store")
	}
}

func TestListSnapshots(t *testing.T) {
	d := newDriver(t)
	for _, volume := range []string{"a", "b"} {
		create(t, d, volume, 100, directory(), nil)
		if _, err := d.CreateSnapshot(t.Context(), &csi.CreateSnapshotRequest{SourceVolumeId: volume, Name: "of-" + volume}); err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		request *csi.ListSnapshotsRequest
		want    int
	}{
		"all":          {&csi.ListSnapshotsRequest{}, 2},
		"by handle":    {&csi.ListSnapshotsRequest{SnapshotId: "of-a"}, 1},
		"by volume":    {&csi.ListSnapshotsRequest{SourceVolumeId: "b"}, 1},
		"that is not":  {&csi.ListSnapshotsRequest{SnapshotId: "none"}, 0},
		"of the other": {&csi.ListSnapshotsRequest{SnapshotId: "of-a", SourceVolumeId: "b"}, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			response, err := d.ListSnapshots(t.Context(), tc.request)
			if err != nil || len(response.Entries) != tc.want {
				t.Errorf("%d entries, %v; want %d", len(response.GetEntries()), err, tc.want)
			}
			for _, entry := range response.GetEntries() {
				if !entry.Snapshot.ReadyToUse || time.Since(entry.Snapshot.CreationTime.AsTime()) > time.Hour {
					t.Errorf("snapshot %+v", entry.Snapshot)
				}
			}
		})
	}
}
