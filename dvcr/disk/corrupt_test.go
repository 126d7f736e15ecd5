package disk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/errdef"

	"slipway.dev/slipway/dvcr/disk"
)

// tampered is a store whose blobs are not what they were.
type tampered struct {
	oras.ReadOnlyTarget
	change map[string]func([]byte) []byte // by digest; nil content: the blob is gone
}

func (s tampered) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	body, err := s.ReadOnlyTarget.Fetch(ctx, d)
	change := s.change[d.Digest.String()]
	if err != nil || change == nil {
		return body, err
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	if b = change(b); b == nil {
		return nil, errdef.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// manifestOf returns the disk manifest under a tag.
func manifestOf(t *testing.T, from oras.ReadOnlyTarget, ref string) (ocispec.Descriptor, ocispec.Manifest) {
	t.Helper()
	root, err := from.Resolve(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := content.Successors(t.Context(), from, root)
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	fetchJSON(t, from, nodes[0], &m)
	return nodes[0], m
}

// TestDamageIsFound damages one blob at a time in one way, and restores. No byte may reach the file that is not the disk's.
func TestDamageIsFound(t *testing.T) {
	o := disk.WithPacksOf(2*mib, disk.PushOptions{})
	raw := makeContent(region{noise + 1, 2*mib + 64*kib}, region{0, mib}, region{noise + 2, 192 * kib})
	store := memory.New()
	info := push(t, raw, store, "v1", o)
	other := makeContent(region{noise + 3, 2*mib + 64*kib}, region{0, mib}, region{noise + 4, 192 * kib})
	push(t, other, store, "v2", o)
	desc, m := manifestOf(t, store, "v1")
	_, m2 := manifestOf(t, store, "v2")
	if len(m.Layers) < 3 || len(m2.Layers) < 3 {
		t.Fatalf("the disk has %d packs, the test wants 2", info.Packs)
	}
	blob := func(d ocispec.Descriptor) []byte {
		b, err := content.FetchAll(t.Context(), store, d)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	replace := func(d ocispec.Descriptor) func([]byte) []byte { return func([]byte) []byte { return blob(d) } }
	gone := func([]byte) []byte { return nil }
	toc, first, second := m.Layers[0], m.Layers[1], m.Layers[2]

	cases := map[string]struct {
		blob   ocispec.Descriptor
		change func([]byte) []byte
		want   error
	}{
		"pack, first bit":                {first, flip(0), disk.ErrCorrupt},
		"pack, a bit in the middle":      {first, flip(700 * kib), disk.ErrCorrupt},
		"pack, last bit":                 {second, flip(-1), disk.ErrCorrupt},
		"pack torn at the end":           {first, cut(1), disk.ErrCorrupt},
		"pack torn in the middle":        {first, cut(1300 * kib), disk.ErrCorrupt},
		"pack empty":                     {second, cut(int(second.Size)), disk.ErrCorrupt},
		"packs swapped":                  {first, replace(second), disk.ErrCorrupt},
		"pack of another disk":           {second, replace(m2.Layers[2]), disk.ErrCorrupt},
		"pack gone":                      {second, gone, errdef.ErrNotFound},
		"pack of zeros":                  {first, func(b []byte) []byte { return make([]byte, len(b)) }, disk.ErrCorrupt},
		"table, a bit":                   {toc, flip(1000), disk.ErrCorrupt},
		"table torn":                     {toc, cut(5), disk.ErrCorrupt},
		"table of another disk":          {toc, replace(m2.Layers[0]), disk.ErrCorrupt},
		"table gone":                     {toc, gone, errdef.ErrNotFound},
		"config of another disk":         {m.Config, replace(m2.Config), disk.ErrCorrupt},
		"config, a bit":                  {m.Config, flip(40), disk.ErrCorrupt},
		"manifest of another disk":       {desc, func([]byte) []byte { d, _ := manifestOf(t, store, "v2"); return blob(d) }, disk.ErrCorrupt},
		"manifest, a bit":                {desc, flip(30), disk.ErrCorrupt},
		"manifest torn":                  {desc, cut(100), disk.ErrCorrupt},
		"manifest with something behind": {desc, func(b []byte) []byte { return append(b, ' ') }, disk.ErrCorrupt},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			from := tampered{store, map[string]func([]byte) []byte{c.blob.Digest.String(): c.change}}
			f, err := os.Create(filepath.Join(t.TempDir(), "disk.raw"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			_, err = disk.Restore(t.Context(), from, "v1", f, disk.RestoreOptions{Clock: instant{}})
			if !errors.Is(err, c.want) {
				t.Errorf("Restore returned %v, want %v", err, c.want)
			}
			onlyTruth(t, f, raw)
		})
	}
}

// onlyTruth checks that each block of a file is the disk's or was never written.
func onlyTruth(t *testing.T, f *os.File, want []byte) {
	t.Helper()
	got, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
	if err != nil {
		t.Fatal(err)
	}
	zero := make([]byte, 4*kib)
	for off := 0; off < len(got); off += len(zero) {
		block := got[off:min(off+len(zero), len(got))]
		if bytes.Equal(block, want[off:off+len(block)]) || bytes.Equal(block, zero[:len(block)]) {
			continue
		}
		// A block may lie across two chunks of which only one was written.
		for i, b := range block {
			if b != want[off+i] && b != 0 {
				t.Fatalf("the file holds a wrong byte at offset %d", off+i)
			}
		}
	}
}

// TestForgedMetadataIsFound publishes artifacts whose digests are right but whose parts do not belong together.
func TestForgedMetadataIsFound(t *testing.T) {
	store := memory.New()
	push(t, makeContent(region{1, mib}), store, "v1", disk.PushOptions{})
	push(t, makeContent(region{2, mib}), store, "v2", disk.PushOptions{})
	_, one := manifestOf(t, store, "v1")
	_, two := manifestOf(t, store, "v2")
	cases := map[string]struct {
		edit func(*ocispec.Manifest)
		want error
	}{
		"untouched":                  {func(*ocispec.Manifest) {}, nil},
		"other table":                {func(m *ocispec.Manifest) { m.Layers[0] = two.Layers[0] }, disk.ErrCorrupt},
		"other pack":                 {func(m *ocispec.Manifest) { m.Layers[1] = two.Layers[1] }, disk.ErrCorrupt},
		"one pack more":              {func(m *ocispec.Manifest) { m.Layers = append(m.Layers, two.Layers[1]) }, disk.ErrCorrupt},
		"no packs":                   {func(m *ocispec.Manifest) { m.Layers = m.Layers[:1] }, disk.ErrCorrupt},
		"no layers":                  {func(m *ocispec.Manifest) { m.Layers = nil }, disk.ErrCorrupt},
		"pack for a table":           {func(m *ocispec.Manifest) { m.Layers = m.Layers[1:] }, disk.ErrCorrupt},
		"other config":               {func(m *ocispec.Manifest) { m.Config = two.Config }, disk.ErrCorrupt},
		"table and packs of another": {func(m *ocispec.Manifest) { m.Layers = two.Layers }, disk.ErrCorrupt},
		"other artifact":             {func(m *ocispec.Manifest) { m.ArtifactType = "application/vnd.example" }, disk.ErrNotArtifact},
		"other config type":          {func(m *ocispec.Manifest) { m.Config.MediaType = ocispec.MediaTypeImageConfig }, disk.ErrNotArtifact},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			m := one
			m.Layers = append([]ocispec.Descriptor(nil), one.Layers...)
			c.edit(&m)
			tagJSON(t, store, ocispec.MediaTypeImageManifest, m, "forged")
			if _, err := disk.Inspect(t.Context(), store, "forged"); !errors.Is(err, c.want) {
				t.Errorf("Inspect returned %v, want %v", err, c.want)
			}
		})
	}
}

// TestInspectWhole asks for packs that are there, gone, or in a registry that does not answer.
func TestInspectWhole(t *testing.T) {
	raw := makeContent(region{noise + 1, 2*mib + 64*kib}, region{noise + 2, 192 * kib})
	store := memory.New()
	push(t, raw, store, "v1", disk.WithPacksOf(2*mib, disk.PushOptions{}))
	_, m := manifestOf(t, store, "v1")
	if info, err := disk.InspectWhole(t.Context(), store, "v1"); err != nil || info.Packs != len(m.Layers)-1 || info.Packs < 2 {
		t.Errorf("a whole disk is %+v, %v", info, err)
	}
	lost := lacking{store, m.Layers[2].Digest, nil}
	if _, err := disk.InspectWhole(t.Context(), lost, "v1"); !errors.Is(err, disk.ErrCorrupt) || errors.Is(err, disk.ErrTarget) {
		t.Errorf("without a pack: %v", err)
	}
	lost.err = errCut
	if _, err := disk.InspectWhole(t.Context(), lost, "v1"); !errors.Is(err, disk.ErrTarget) {
		t.Errorf("while nobody answers: %v", err)
	}
}

// lacking is a store without a blob, or one that fails when it is asked for it.
type lacking struct {
	*memory.Store
	blob digest.Digest
	err  error
}

func (l lacking) Exists(ctx context.Context, d ocispec.Descriptor) (bool, error) {
	if d.Digest == l.blob {
		return false, l.err
	}
	return l.Store.Exists(ctx, d)
}

func TestInspectOfOtherThings(t *testing.T) {
	store := memory.New()
	tagJSON(t, store, ocispec.MediaTypeImageIndex, ocispec.Index{}, "empty-index")
	tagJSON(t, store, "application/json", struct{}{}, "json")
	cases := map[string]error{
		"none": errdef.ErrNotFound, "empty-index": disk.ErrNotArtifact, "json": disk.ErrNotArtifact,
	}
	for ref, want := range cases {
		if _, err := disk.Inspect(t.Context(), store, ref); !errors.Is(err, want) {
			t.Errorf("Inspect of %s returned %v, want %v", ref, err, want)
		}
	}
}
