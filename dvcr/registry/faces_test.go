package registry_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory" // stands for any driver that is not the file system
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/dvcr/registry/s3/s3test"
)

const mib = 1 << 20

// noisy makes a disk with holes, half of whose data does not compress.
func noisy(seed uint64, size int) []byte {
	raw := make([]byte, size)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := 0; i+8 <= len(raw); i += 8 {
		if i/mib%3 != 2 && i%64 < 32 {
			binary.LittleEndian.PutUint64(raw[i:], random.Uint64())
		}
	}
	return raw
}

// pushDisk stores a disk with its faces.
func pushDisk(t *testing.T, s *registry.Server, repository, tag string, raw []byte, bases ...string) (*remote.Repository, disk.Info) {
	t.Helper()
	repo, err := s.Client().Repository(repository)
	if err != nil {
		t.Fatal(err)
	}
	info, err := disk.Push(t.Context(), disk.NewStream(bytes.NewReader(raw), int64(len(raw))), repo, tag,
		disk.PushOptions{Faces: registry.Faces{Repository: repo}, Bases: bases})
	if err != nil {
		t.Fatal(err)
	}
	return repo, info
}

// faceOf returns the layer of a face.
func faceOf(t *testing.T, from oras.ReadOnlyTarget, ref string, kind disk.FaceKind) ocispec.Descriptor {
	t.Helper()
	root, err := from.Resolve(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := content.Successors(t.Context(), from, root)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		if n.Annotations[disk.AnnotationFace] == string(kind) {
			below, err := content.Successors(t.Context(), from, n)
			if err != nil {
				t.Fatal(err)
			}
			return below[len(below)-1]
		}
	}
	t.Fatalf("%s has no face %s", ref, kind)
	return ocispec.Descriptor{}
}

func unzstd(t *testing.T, b []byte) []byte {
	t.Helper()
	d, err := zstd.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	raw, err := io.ReadAll(d)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestFacesHoldTheDisk reads both faces as any client does: by digest, which the client checks.
func TestFacesHoldTheDisk(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		s := start(t, registry.Config{Storage: storage, Dir: t.TempDir()})
		cases := map[string][]byte{
			"data and holes":       noisy(1, 20*mib),
			"a length that is odd": noisy(2, 3*mib+12345),
			"nothing but a hole":   make([]byte, 130*mib),
			"a hole at the front":  append(make([]byte, 129*mib), noisy(3, mib)...),
		}
		for name, raw := range cases {
			t.Run(name, func(t *testing.T) {
				repo, info := pushDisk(t, s, "vi/team/"+strings.ReplaceAll(name, " ", "-"), "v1", raw)
				if diff := cmp.Diff(disk.FaceKinds(), info.Faces); diff != "" {
					t.Errorf("faces (-want +got):\n%s", diff)
				}
				b, err := content.FetchAll(t.Context(), repo, faceOf(t, repo, "v1", disk.FaceRaw))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(unzstd(t, b), raw) {
					t.Error("the raw face is not the disk")
				}
				layer, err := content.FetchAll(t.Context(), repo, faceOf(t, repo, "v1", disk.FaceContainerDisk))
				if err != nil {
					t.Fatal(err)
				}
				archive := tar.NewReader(bytes.NewReader(unzstd(t, layer)))
				var got []string
				for h, err := archive.Next(); !errors.Is(err, io.EOF); h, err = archive.Next() {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprintf("%s %o %d:%d %d", h.Name, h.Mode, h.Uid, h.Gid, h.Size))
					if h.Typeflag != tar.TypeReg {
						continue
					}
					if text, err := io.ReadAll(archive); err != nil || !bytes.Equal(text, raw) {
						t.Errorf("the file in the layer is not the disk: %v", err)
					}
				}
				want := []string{"disk/ 755 107:107 0", fmt.Sprintf("disk/disk.img 644 107:107 %d", len(raw))}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("entries (-want +got):\n%s", diff)
				}
			})
		}
	})
}

// TestFacesCostNoStorage compares what a registry occupies with and without them, and that a restart keeps them.
func TestFacesCostNoStorage(t *testing.T) {
	dir := t.TempDir()
	s := start(t, registry.Config{Dir: dir})
	raw := noisy(1, 9*mib)
	repo, err := s.Client().Repository("vi/team/debian")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Push(t.Context(), disk.NewStream(bytes.NewReader(raw), -1), repo, "v1", disk.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	before := occupied(t, dir)
	if _, err := disk.AddFaces(t.Context(), repo, "v1", registry.Faces{Repository: repo}, ""); err != nil {
		t.Fatal(err)
	}
	if more := occupied(t, dir) - before; more > 16<<10 {
		t.Errorf("the faces occupy %d bytes", more)
	}
	layer := faceOf(t, repo, "v1", disk.FaceContainerDisk)
	stop(t, s)
	again := start(t, registry.Config{Dir: dir})
	if repo, err = again.Client().Repository("vi/team/debian"); err != nil {
		t.Fatal(err)
	}
	whole, err := content.FetchAll(t.Context(), repo, layer)
	if err != nil {
		t.Fatal(err)
	}
	partsAreTheSame(t, again, layer, whole)
}

// partsAreTheSame reads parts of a virtual blob by range.
func partsAreTheSame(t *testing.T, s *registry.Server, layer ocispec.Descriptor, whole []byte) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		lo := random.IntN(len(whole))
		hi := min(len(whole), lo+1+random.IntN(mib))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.Addr()+"/v2/vi/team/debian/blobs/"+layer.Digest.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", lo, hi-1))
		req.SetBasicAuth(s.Credentials().Username, s.Credentials().Password)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusPartialContent || !bytes.Equal(got, whole[lo:hi]) {
			t.Fatalf("bytes %d to %d: %s, %v", lo, hi, resp.Status, err)
		}
	}
}

func occupied(t *testing.T, dir string) int64 {
	t.Helper()
	var n int64
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestFacesAreDeterministic makes the same disk on two servers, on one of them on top of a base.
func TestFacesAreDeterministic(t *testing.T) {
	raw := noisy(1, 6*mib)
	one := start(t, registry.Config{Dir: t.TempDir()})
	two := start(t, registry.Config{Dir: t.TempDir()})
	_, a := pushDisk(t, one, "vi/team/debian", "v1", raw)
	_, b := pushDisk(t, two, "cvi/other", "v2", raw)
	if a.Digest != b.Digest {
		t.Errorf("the same disk is %s and %s", a.Digest, b.Digest)
	}
	repo, _ := pushDisk(t, two, "cvi/other", "v3", noisy(2, 6*mib), "v2")
	pushDisk(t, two, "cvi/other", "v4", raw, "v3", "v2")
	if x, y := faceOf(t, repo, "v2", disk.FaceRaw), faceOf(t, repo, "v4", disk.FaceRaw); x.Digest != y.Digest {
		t.Errorf("the same disk's raw face is %s and %s", x.Digest, y.Digest)
	}
}

// TestFacesAreMadeForThoseWhoMayWrite tries the extension without the right to.
func TestFacesAreMadeForThoseWhoMayWrite(t *testing.T) {
	s := start(t, registry.Config{Dir: t.TempDir()})
	raw := noisy(1, mib)
	pushDisk(t, s, "vi/team/debian", "v1", raw)
	put(t, s.Client(), "vi/team/other", "v1", "no disk")
	cases := map[string]struct {
		user       registry.Credentials
		repository string
		of         string
		ok         bool
	}{
		"writer":                 {s.Key().WriterOf("team"), "vi/team/debian", "vi/team/debian", true},
		"reader":                 {s.Key().ReaderOf("team"), "vi/team/debian", "vi/team/debian", false},
		"writer elsewhere":       {s.Key().WriterOf("other"), "vi/team/debian", "vi/team/debian", false},
		"nobody":                 {registry.Credentials{}, "vi/team/debian", "vi/team/debian", false},
		"not a disk":             {s.Key().WriterOf("team"), "vi/team/other", "vi/team/other", false},
		"disk of another, named": {s.Key().WriterOf("other"), "vi/other/stolen", "vi/team/debian", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			home, err := s.Client().Repository(c.of)
			if err != nil {
				t.Fatal(err)
			}
			root, err := home.Resolve(t.Context(), "v1")
			if err != nil {
				t.Fatal(err)
			}
			nodes, err := content.Successors(t.Context(), home, root)
			if err != nil {
				t.Fatal(err)
			}
			repo, err := registry.NewClient(s.Addr(), c.user).Repository(c.repository)
			if err != nil {
				t.Fatal(err)
			}
			got, err := registry.Faces{Repository: repo}.MakeFaces(t.Context(), nodes[0])
			if (err == nil) != c.ok {
				t.Errorf("made %v, %v", got, err)
			}
		})
	}
}

// TestDamagedPackNeverBecomesAFace flips a bit in storage before the faces are made.
func TestDamagedPackNeverBecomesAFace(t *testing.T) {
	dir := t.TempDir()
	s := start(t, registry.Config{Dir: dir})
	repo, err := s.Client().Repository("vi/team/debian")
	if err != nil {
		t.Fatal(err)
	}
	raw := noisy(1, 4*mib)
	if _, err := disk.Push(t.Context(), disk.NewStream(bytes.NewReader(raw), -1), repo, "v1", disk.PushOptions{}); err != nil {
		t.Fatal(err)
	}
	pack := largestBlob(t, dir)
	b, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"a flipped bit": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"torn":          func(b []byte) []byte { return b[:len(b)-1] },
		"gone":          func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			if bad := damage(bytes.Clone(b)); bad == nil {
				err = os.Remove(pack)
			} else {
				err = os.WriteFile(pack, bad, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			info, err := disk.AddFaces(t.Context(), repo, "v1", registry.Faces{Repository: repo}, "")
			if err == nil {
				t.Errorf("faces %v are made of a damaged pack", info.Faces)
			}
			if info, err := disk.Inspect(t.Context(), repo, "v1"); err != nil || len(info.Faces) > 0 {
				t.Errorf("the tag has moved: %v, %v", info.Faces, err)
			}
		})
	}
}

// TestDamageAfterwardsIsFoundByTheReader flips a bit when the faces are made: their digest tells every client.
func TestDamageAfterwardsIsFoundByTheReader(t *testing.T) {
	dir := t.TempDir()
	s := start(t, registry.Config{Dir: dir})
	repo, _ := pushDisk(t, s, "vi/team/debian", "v1", noisy(1, 4*mib))
	pack := largestBlob(t, dir)
	b, err := os.ReadFile(pack)
	if err != nil {
		t.Fatal(err)
	}
	for name, damage := range map[string]func([]byte) []byte{
		"a flipped bit": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"torn":          func(b []byte) []byte { return b[:len(b)-1] },
		"swapped":       func(b []byte) []byte { return append(b[len(b)/2:], b[:len(b)/2]...) },
	} {
		if err := os.WriteFile(pack, damage(bytes.Clone(b)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, kind := range disk.FaceKinds() {
			if _, err := content.FetchAll(t.Context(), repo, faceOf(t, repo, "v1", kind)); err == nil {
				t.Errorf("face %s of a pack that is %s passes", kind, name)
			}
		}
	}
}

func largestBlob(t *testing.T, dir string) string {
	t.Helper()
	var largest string
	var size int64
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Size() > size && info.Name() == "data" {
			largest, size = path, info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return largest
}

// TestMaterializedFaces stores the faces in a registry that knows nothing of them; they are the blobs that DVCR serves.
func TestMaterializedFaces(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		s := start(t, registry.Config{Storage: storage, Dir: t.TempDir()})
		raw := noisy(1, 6*mib)
		repo, _ := pushDisk(t, s, "vi/team/debian", "v1", raw)
		foreign := memory.New()
		if _, err := disk.Push(t.Context(), disk.NewStream(bytes.NewReader(raw), -1), foreign, "v1", disk.PushOptions{Faces: disk.Materializer{Target: foreign}}); err != nil {
			t.Fatal(err)
		}
		for _, kind := range disk.FaceKinds() {
			if diff := cmp.Diff(faceOf(t, repo, "v1", kind), faceOf(t, foreign, "v1", kind)); diff != "" {
				t.Errorf("face %s (-DVCR +foreign):\n%s", kind, diff)
			}
			if _, err := content.FetchAll(t.Context(), foreign, faceOf(t, foreign, "v1", kind)); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestCopyKeepsEverything copies an artifact with all its faces to another registry and back into a third, as oras cp does.
func TestCopyKeepsEverything(t *testing.T) {
	s3test.OnEach(t, func(t *testing.T, storage *registry.Storage) {
		one := start(t, registry.Config{Storage: storage, Dir: t.TempDir()})
		two := start(t, registry.Config{Storage: storage, Dir: t.TempDir()})
		raw := noisy(1, 6*mib)
		from, info := pushDisk(t, one, "vi/team/debian", "v1", raw)
		to, err := two.Client().Repository("cvi/debian")
		if err != nil {
			t.Fatal(err)
		}
		desc, err := oras.Copy(t.Context(), from, "v1", to, "copy", oras.DefaultCopyOptions)
		if err != nil {
			t.Fatal(err)
		}
		if desc.Digest.String() != info.Digest {
			t.Errorf("the copy is %s, the original %s", desc.Digest, info.Digest)
		}
		for _, kind := range disk.FaceKinds() {
			if _, err := content.FetchAll(t.Context(), to, faceOf(t, to, "copy", kind)); err != nil {
				t.Error(err)
			}
		}
	})
}

// tool returns the path of a program that make packages installs.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed; \"make packages\" installs it", name)
	}
	return path
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), tool(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// TestOtherToolsReadTheFaces has programs of others read a disk, unmodified and without knowing of DVCR.
func TestOtherToolsReadTheFaces(t *testing.T) {
	for _, name := range []string{"skopeo", "umoci", "zstd", "tar"} {
		tool(t, name)
	}
	s := start(t, registry.Config{Dir: t.TempDir()})
	raw := noisy(1, 9*mib+777)
	repo, _ := pushDisk(t, s, "vi/team/debian", "v1", raw)
	user := s.Key().ReaderOf("team")
	want := sha256.Sum256(raw)

	t.Run("skopeo copy, zstd -d, tar x", func(t *testing.T) {
		dir := t.TempDir()
		run(t, "skopeo", "copy", "--quiet", "--override-arch=amd64", "--override-os=linux", "--src-tls-verify=false", "--src-creds", user.Username+":"+user.Password,
			"docker://"+s.Addr()+"/vi/team/debian:v1", "dir:"+dir+"/image")
		layer := faceOf(t, repo, "v1", disk.FaceContainerDisk)
		run(t, "zstd", "-q", "-d", filepath.Join(dir, "image", layer.Digest.Encoded()), "-o", filepath.Join(dir, "layer.tar"))
		run(t, "tar", "--no-same-owner", "-xf", filepath.Join(dir, "layer.tar"), "-C", dir)
		wantFile(t, filepath.Join(dir, "disk/disk.img"), want)
	})
	t.Run("skopeo copy, umoci unpack", func(t *testing.T) {
		dir := t.TempDir()
		run(t, "skopeo", "copy", "--quiet", "--override-arch=amd64", "--override-os=linux", "--src-tls-verify=false", "--src-creds", user.Username+":"+user.Password,
			"--dest-compress", "--dest-compress-format=gzip", // Debian 12's umoci reads no zstd; it compares the diff ID
			"docker://"+s.Addr()+"/vi/team/debian:v1", "oci:"+dir+"/layout:v1")
		run(t, "umoci", "unpack", "--rootless", "--image", dir+"/layout:v1", dir+"/bundle")
		wantFile(t, filepath.Join(dir, "bundle/rootfs/disk/disk.img"), want)
	})
	t.Run("skopeo copy of the whole index, and zstd -d of the raw face", func(t *testing.T) {
		dir := t.TempDir()
		run(t, "skopeo", "copy", "--quiet", "--all", "--src-tls-verify=false", "--src-creds", user.Username+":"+user.Password,
			"docker://"+s.Addr()+"/vi/team/debian:v1", "oci:"+dir+"/layout:v1")
		face := faceOf(t, repo, "v1", disk.FaceRaw)
		run(t, "zstd", "-q", "-d", filepath.Join(dir, "layout/blobs/sha256", face.Digest.Encoded()), "-o", filepath.Join(dir, "disk.raw"))
		wantFile(t, filepath.Join(dir, "disk.raw"), want)
	})
}

func wantFile(t *testing.T, path string, want [sha256.Size]byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(b) != want {
		t.Errorf("%s is not the disk", path)
	}
}

var _ disk.FaceMaker = registry.Faces{}

// TestOtherStorage keeps everything in a storage driver that is not the file system.
func TestOtherStorage(t *testing.T) {
	s := start(t, registry.Config{Dir: t.TempDir(), Storage: &registry.Storage{Driver: "inmemory"}})
	raw := noisy(1, 3*mib)
	repo, _ := pushDisk(t, s, "vi/team/debian", "v1", raw)
	b, err := content.FetchAll(t.Context(), repo, faceOf(t, repo, "v1", disk.FaceRaw))
	if err != nil || !bytes.Equal(unzstd(t, b), raw) {
		t.Errorf("the raw face is not the disk: %v", err)
	}
	repositories, err := s.Inventory().Repositories(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"vi/team/debian"}, repositories); diff != "" {
		t.Errorf("repositories (-want +got):\n%s", diff)
	}
	blobs, err := s.Inventory().Blobs(t.Context())
	if err != nil || len(blobs) < 8 {
		t.Errorf("the inventory lists %d blobs, %v", len(blobs), err)
	}
}
