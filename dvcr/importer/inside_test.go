package importer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
)

func artifactJob(name string) importer.Job {
	return importer.Job{ID: "one", Source: importer.Source{Artifact: &importer.ArtifactSource{Name: name}}, Destination: "vi/team/copy:v1"}
}

// TestMountArtifact copies inside DVCR: the registry keeps each blob once.
func TestMountArtifact(t *testing.T) {
	server := dvcr(t)
	reg := server.Client()
	repo, err := reg.Repository("cvi/debian")
	if err != nil {
		t.Fatal(err)
	}
	raw := rawDisk(1, 3*mib)
	describe := func() disk.SourceConfig { return disk.SourceConfig{Format: "iso", Size: 99} }
	info, err := disk.Push(t.Context(), disk.NewStream(bytes.NewReader(raw), -1), repo, "v7", disk.PushOptions{Describe: describe})
	if err != nil {
		t.Fatal(err)
	}
	state := finishJob(t, newRunner(t, reg, loopback()), artifactJob("cvi/debian:v7"))
	if state.Err != nil {
		t.Fatal(state.Err)
	}
	want := &importer.Result{Format: "iso", CDROM: true, VirtualSize: 3 * mib, StoredSize: info.StoredSize, SourceSize: 99, Digest: info.Digest}
	if diff := cmp.Diff(want, state.Result); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	same(t, stored(t, reg, "vi/team/copy:v1"), raw)
	for name, want := range map[string]error{"cvi/debian:none": importer.ErrNotFound, "cvi/none:v7": importer.ErrNotFound, "cvi": importer.ErrInvalidSource} {
		job := artifactJob(name)
		job.ID, job.Destination = name, "vi/team/other:v1"
		if state := finishJob(t, newRunner(t, reg, loopback()), job); !errors.Is(state.Err, want) {
			t.Errorf("%s failed with %v, want %v", name, state.Err, want)
		}
	}
}

// TestFaces makes the forms that others read: at import, and anew for a copy.
func TestFaces(t *testing.T) {
	reg := dvcr(t).Client()
	raw := rawDisk(1, 2*mib)
	o := loopback()
	o.Faces = func(r *remote.Repository) disk.FaceMaker { return registry.Faces{Repository: r} }
	r := newRunner(t, reg, o)
	first := httpJob(serve(t, raw))
	for _, job := range []importer.Job{first, artifactJob(first.Destination)} {
		job.ID = job.Destination
		if state := finishJob(t, r, job); state.Err != nil {
			t.Fatal(state.Err)
		}
		name, tag, _ := strings.Cut(job.Destination, ":")
		repo, err := reg.Repository(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := disk.Inspect(t.Context(), repo, tag)
		if diff := cmp.Diff(disk.FaceKinds(), info.Faces); err != nil || diff != "" {
			t.Errorf("%s (%v), faces (-want +got):\n%s", job.Destination, err, diff)
		}
		same(t, stored(t, reg, job.Destination), raw)
	}
}

// shelf gives one volume, or an error.
type shelf struct {
	volume   importer.Volume
	err      error
	released int
}

func (s *shelf) Open(_ context.Context, namespace, claim string) (importer.Volume, error) {
	v := s.volume
	v.Release = func() { s.released++ }
	if namespace+"/"+claim != "team/root" {
		return v, fmt.Errorf("%w: %s", importer.ErrNotFound, claim)
	}
	return v, s.err
}

func TestImportVolume(t *testing.T) {
	raw := rawDisk(1, 3*mib)
	dir := t.TempDir()
	base, overlay := filepath.Join(dir, "base.raw"), filepath.Join(dir, "disk.qcow2")
	if err := os.WriteFile(base, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", "base.raw", overlay).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	job := importer.Job{ID: "one", Source: importer.Source{Volume: &importer.VolumeSource{Namespace: "team", Claim: "root"}}, Destination: "vi/team/copy:v1"}
	cases := map[string]struct {
		volumes *shelf
		claim   string
		want    error
	}{
		"raw file":        {volumes: &shelf{volume: importer.Volume{Path: base, Format: "raw"}}},
		"overlay":         {volumes: &shelf{volume: importer.Volume{Path: overlay, Format: "qcow2"}}},
		"in use":          {volumes: &shelf{err: errors.New("somebody has it")}, want: importer.ErrUnreachable},
		"no such claim":   {volumes: &shelf{}, claim: "none", want: importer.ErrNotFound},
		"file is gone":    {volumes: &shelf{volume: importer.Volume{Path: filepath.Join(dir, "none"), Format: "raw"}}, want: importer.ErrUnreachable},
		"no volumes here": {want: importer.ErrUnsupported},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			reg, o, job := dvcr(t).Client(), loopback(), job
			if c.volumes != nil {
				o.Volumes = c.volumes
			}
			if c.claim != "" {
				job.Source.Volume = &importer.VolumeSource{Namespace: "team", Claim: c.claim}
			}
			state := finishJob(t, newRunner(t, reg, o), job)
			if !errors.Is(state.Err, c.want) {
				t.Fatalf("failed with %v, want %v", state.Err, c.want)
			}
			if c.want != nil {
				return
			}
			if state.Result.Format != "raw" || c.volumes.released != 1 {
				t.Errorf("result %+v, released %d times", state.Result, c.volumes.released)
			}
			same(t, stored(t, reg, job.Destination), raw)
		})
	}
}
