package importer_test

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
)

// file is an entry of a layer.
type file struct {
	name    string
	content []byte
	typ     byte
}

// layer makes a tar archive.
func layer(t *testing.T, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)), Typeflag: tar.TypeReg}
		if f.typ != 0 {
			h.Typeflag, h.Linkname = f.typ, "elsewhere"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// publish pushes an image of some layers and returns its descriptor.
func publish(t *testing.T, repo *remote.Repository, tag string, layers ...[]byte) ocispec.Descriptor {
	t.Helper()
	var descs []ocispec.Descriptor
	for _, l := range layers {
		d, err := oras.PushBytes(t.Context(), repo, ocispec.MediaTypeImageLayer, l)
		if err != nil {
			t.Fatal(err)
		}
		descs = append(descs, d)
	}
	desc, err := oras.PackManifest(t.Context(), repo, oras.PackManifestVersion1_0, ocispec.MediaTypeImageConfig,
		oras.PackManifestOptions{Layers: descs, ManifestAnnotations: map[string]string{ocispec.AnnotationCreated: "2026-01-01T00:00:00Z"}})
	if err != nil {
		t.Fatal(err)
	}
	if tag != "" {
		if err := repo.Tag(t.Context(), desc, tag); err != nil {
			t.Fatal(err)
		}
	}
	return desc
}

// artifact pushes layers of types as oras does, and returns the descriptor.
func artifact(t *testing.T, repo *remote.Repository, tag string, layers ...any) ocispec.Descriptor {
	t.Helper()
	var descs []ocispec.Descriptor
	for i := 0; i < len(layers); i += 2 {
		d, err := oras.PushBytes(t.Context(), repo, layers[i].(string), layers[i+1].([]byte))
		if err != nil {
			t.Fatal(err)
		}
		d.Annotations = map[string]string{ocispec.AnnotationTitle: "disk", "io.kubevirt.disk.name": fmt.Sprint("disk", i)}
		descs = append(descs, d)
	}
	desc, err := oras.PackManifest(t.Context(), repo, oras.PackManifestVersion1_1, "application/vnd.example.disk", oras.PackManifestOptions{Layers: descs})
	if err != nil {
		t.Fatal(err)
	}
	if tag != "" {
		if err := repo.Tag(t.Context(), desc, tag); err != nil {
			t.Fatal(err)
		}
	}
	return desc
}

// publishIndex pushes an index of images by architecture.
func publishIndex(t *testing.T, repo *remote.Repository, tag string, images map[string]ocispec.Descriptor) {
	t.Helper()
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex}
	for architecture, d := range images {
		if architecture != "" {
			d.Platform = &ocispec.Platform{OS: "linux", Architecture: architecture}
		}
		index.Manifests = append(index.Manifests, d)
	}
	b, err := json.Marshal(index)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oras.TagBytes(t.Context(), repo, ocispec.MediaTypeImageIndex, b, tag); err != nil {
		t.Fatal(err)
	}
}

// foreign starts a registry that is not DVCR, and returns it and one of its repositories.
func foreign(t *testing.T) (*registry.Server, *remote.Repository) {
	t.Helper()
	s := dvcr(t)
	repo, err := s.Client().Repository("images/debian")
	if err != nil {
		t.Fatal(err)
	}
	return s, repo
}

func containerJob(s *registry.Server, image string) importer.Job {
	c := s.Credentials()
	return importer.Job{ID: "one", Destination: "cvi/debian:v1", Source: importer.Source{Registry: &importer.RegistrySource{
		Image: s.Addr() + "/images/debian" + image, Username: c.Username, Password: c.Password,
	}}}
}

func TestImportContainerDisk(t *testing.T) {
	raw, other := rawDisk(1, 2*mib), rawDisk(2, mib)
	qcow2 := convert(t, raw, "-O", "qcow2")
	etc := layer(t, file{name: "etc/passwd", content: []byte("root")})
	s, repo := foreign(t)
	digest := publish(t, repo, "", layer(t, file{name: "disk/disk.img", content: raw}))
	publish(t, repo, "raw", layer(t, file{name: "disk/disk.img", content: raw}))
	publish(t, repo, "absolute", layer(t, file{name: "/disk/disk.img", content: raw}))
	publish(t, repo, "dotted", layer(t, file{name: "./disk/disk.img", content: raw}))
	publish(t, repo, "qcow2", layer(t, file{name: "disk/", typ: tar.TypeDir}, file{name: "disk/disk.qcow2", content: qcow2}))
	publish(t, repo, "gzip", gz(t, layer(t, file{name: "disk/disk.qcow2", content: qcow2})))
	publish(t, repo, "zstd", zst(t, layer(t, file{name: "disk/disk.img", content: raw})))
	publish(t, repo, "packed", layer(t, file{name: "disk/disk.img.gz", content: gz(t, raw)}))
	publish(t, repo, "second-layer", etc, gz(t, layer(t, file{name: "disk/disk.img", content: raw})))
	publish(t, repo, "crowded", layer(t,
		file{name: "disk/.wh.old"}, file{name: "disk/link", typ: tar.TypeSymlink}, file{name: "disk/sub/x", content: other},
		file{name: "disk/disk.img", content: raw}, file{name: "disk/zz.img", content: other}))
	publishIndex(t, repo, "index", map[string]ocispec.Descriptor{
		"arm64": publish(t, repo, "", layer(t, file{name: "disk/disk.img", content: other})),
		"amd64": publish(t, repo, "", layer(t, file{name: "disk/disk.img", content: raw})),
	})
	artifact(t, repo, "oras-qcow2", "application/vnd.qemu.qcow2", qcow2)
	artifact(t, repo, "oras-raw", "application/octet-stream", raw)
	artifact(t, repo, "oras-packed", "application/gzip", gz(t, qcow2))
	artifact(t, repo, "oras-vmdk", "application/x-vmdk", convert(t, raw, "-O", "vmdk"))
	artifact(t, repo, "kubevirt", "application/vnd.kubevirt.disk.raw+zstd", zst(t, raw))
	artifact(t, repo, "described", "text/markdown", []byte("# read me"), "application/octet-stream", zst(t, raw))
	publishIndex(t, repo, "kubevirt-index", map[string]ocispec.Descriptor{
		"": artifact(t, repo, "", "application/vnd.kubevirt.disk.raw+zstd", zst(t, raw)),
	})
	publishIndex(t, repo, "attested", map[string]ocispec.Descriptor{
		"amd64":   artifact(t, repo, "", "application/octet-stream", qcow2),
		"unknown": artifact(t, repo, "", "application/octet-stream", other),
	})
	for _, image := range []string{
		":oras-qcow2", ":oras-raw", ":oras-packed", ":oras-vmdk", ":kubevirt", ":described", ":kubevirt-index", ":attested",
		":raw", "@" + digest.Digest.String(), ":raw@" + digest.Digest.String(),
		":absolute", ":dotted", ":qcow2", ":gzip", ":zstd", ":packed", ":second-layer", ":crowded", ":index",
	} {
		t.Run(image, func(t *testing.T) {
			t.Parallel()
			reg := dvcr(t).Client()
			o := loopback()
			o.Architecture, o.Dir = "amd64", t.TempDir()
			state := finishJob(t, newRunner(t, reg, o), containerJob(s, image))
			if state.Err != nil {
				t.Fatal(state.Err)
			}
			same(t, stored(t, reg, "cvi/debian:v1"), raw)
			if left := leftovers(t, o.Dir); len(left) > 0 {
				t.Errorf("%v are left of the download", left)
			}
		})
	}
}

// TestCopyDisk takes a disk that Slipway stored elsewhere: the artifact stays the same, to the digest.
func TestCopyDisk(t *testing.T) {
	raw := rawDisk(1, 3*mib)
	s, repo := foreign(t)
	info, err := disk.Push(t.Context(), disk.NewStream(bytes.NewReader(raw), -1), repo, "v7",
		disk.PushOptions{Describe: func() disk.SourceConfig { return disk.SourceConfig{Format: "iso", Size: 99} }})
	if err != nil {
		t.Fatal(err)
	}
	for _, image := range []string{":v7", "@" + info.Digest} {
		reg := dvcr(t).Client()
		state := finishJob(t, newRunner(t, reg, loopback()), containerJob(s, image))
		if state.Err != nil {
			t.Fatal(state.Err)
		}
		r := state.Result
		if r.Digest != info.Digest || r.Format != "iso" || !r.CDROM || r.SourceSize != 99 || r.StoredSize != info.StoredSize {
			t.Errorf("result is %+v, the source %+v", r, info)
		}
		same(t, stored(t, reg, "cvi/debian:v1"), raw)
	}
}

func TestImportContainerRefuses(t *testing.T) {
	s, repo := foreign(t)
	raw := rawDisk(1, mib)
	publish(t, repo, "no-disk", layer(t, file{name: "etc/passwd", content: []byte("root")}), []byte("no archive"))
	publish(t, repo, "text", layer(t, file{name: "disk/readme", content: []byte("hello")}))
	disks := []any{"application/vnd.kubevirt.disk.raw+zstd", zst(t, raw), "application/vnd.kubevirt.disk.raw+zstd", zst(t, rawDisk(2, mib))}
	artifact(t, repo, "two-disks", disks...)
	artifact(t, repo, "readme", "text/markdown", []byte("# read me"))
	whole := gz(t, layer(t, file{name: "disk/disk.img", content: raw}))
	publish(t, repo, "cut", whole[:len(whole)/2])
	publish(t, repo, "good", whole)
	publishIndex(t, repo, "arm", map[string]ocispec.Descriptor{"arm64": publish(t, repo, "", whole)})
	if _, err := disk.Push(t.Context(), disk.NewStream(bytes.NewReader(raw), -1), repo, "large", disk.PushOptions{}); err != nil {
		t.Fatal(err)
	}

	cases := map[string]struct {
		image   string
		edit    func(*importer.RegistrySource)
		options func(*importer.Options)
		want    error
		says    string
	}{
		"no disk":           {image: ":no-disk", want: importer.ErrNotDiskImage, says: "containerDisk"},
		"two disks":         {image: ":two-disks", want: importer.ErrUnsupported, says: "disk0, disk2"},
		"only a text":       {image: ":readme", want: importer.ErrNotDiskImage, says: "none of its 1 layers"},
		"text in its place": {image: ":text", want: importer.ErrNotDiskImage, says: "text"},
		"layer cut off":     {image: ":cut", want: importer.ErrNotDiskImage, says: "damaged"},
		"no such tag":       {image: ":none", want: importer.ErrNotFound},
		"no such digest":    {image: "@sha256:" + strings.Repeat("0", 64), want: importer.ErrNotFound},
		"other platform":    {image: ":arm", want: importer.ErrNotFound, says: "linux/arm64"},
		"disk too large":    {image: ":large", options: func(o *importer.Options) { o.MaxVirtualSize = mib / 2 }, want: importer.ErrTooLarge},
		"anonymous":         {image: ":good", edit: func(s *importer.RegistrySource) { s.Username, s.Password = "", "" }, want: importer.ErrUnauthorized},
		"wrong password":    {image: ":good", edit: func(s *importer.RegistrySource) { s.Password = "x" }, want: importer.ErrUnauthorized},
		"bad reference":     {edit: func(s *importer.RegistrySource) { s.Image = "UPPER//:x" }, want: importer.ErrInvalidSource},
		"registry away":     {edit: func(s *importer.RegistrySource) { s.Image = "127.0.0.1:1/a/b:c" }, want: importer.ErrUnreachable},
		"loopback":          {image: ":good", options: func(o *importer.Options) { o.Egress = egress.Policy{} }, want: importer.ErrForbiddenAddress},
		"metadata service":  {edit: func(s *importer.RegistrySource) { s.Image = "169.254.169.254/a/b:c" }, want: importer.ErrForbiddenAddress},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := loopback()
			o.Architecture = "amd64"
			if c.options != nil {
				c.options(&o)
			}
			job := containerJob(s, c.image)
			if c.edit != nil {
				c.edit(job.Source.Registry)
			}
			state := finishJob(t, newRunner(t, dvcr(t).Client(), o), job)
			if !errors.Is(state.Err, c.want) || !strings.Contains(state.Err.Error(), c.says) {
				t.Errorf("failed with %v, want %v and %q", state.Err, c.want, c.says)
			}
		})
	}
}

// packSizes returns how many bytes of the packs of the second tag are also packs of the first, and how many are not.
func packSizes(t *testing.T, repo *remote.Repository, first, second string) (shared, fresh int64) {
	t.Helper()
	known := map[string]bool{}
	for _, l := range diskManifest(t, repo, first).Layers {
		known[l.Digest.String()] = true
	}
	for _, l := range diskManifest(t, repo, second).Layers[1:] {
		if known[l.Digest.String()] {
			shared += l.Size
		} else {
			fresh += l.Size
		}
	}
	return shared, fresh
}

func diskManifest(t *testing.T, repo *remote.Repository, tag string) ocispec.Manifest {
	t.Helper()
	var index ocispec.Index
	fetchJSON(t, repo, tag, &index)
	var manifest ocispec.Manifest
	fetchJSON(t, repo, index.Manifests[0].Digest.String(), &manifest)
	return manifest
}

func fetchJSON(t *testing.T, repo *remote.Repository, ref string, into any) {
	t.Helper()
	_, b, err := oras.FetchBytes(t.Context(), repo, ref, oras.DefaultFetchBytesOptions)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}
