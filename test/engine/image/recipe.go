package image

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/internal/ociarchive"
)

// Registry is what the names of the engine's images begin with. There is no
// registry: nodes have the images, and nobody may pull them.
const (
	Registry = "localhost"
	Tag      = "engine"
)

// Ref is the full name of an image.
func Ref(name string) string { return Registry + "/" + name + ":" + Tag }

// Recipe says what an image is made of, from the bottom up.
type Recipe struct {
	// Name of the image; see [Ref].
	Name string
	// Packages of Debian, with all that they depend on; empty begins with nothing.
	Packages []string
	// Backports are Debian's sources whose packages are taken from backports, where they are newer.
	Backports []string
	// Programs by their paths in the image; the values name built binaries.
	Programs map[string]string
	// Capabilities of programs, by their paths in the image.
	Capabilities map[string][]byte
	// Files besides.
	Files []ociarchive.Entry
	// Config says how to run it.
	Config ocispec.ImageConfig
}

// guest is the user that KubeVirt runs guests as.
const guest = 107

// Disk is the image of a guest's disk, as KubeVirt takes it for a containerDisk.
func Disk(name, file string) (Recipe, error) {
	disk, err := ociarchive.File("/disk/disk.img", file, 0o440)
	if err != nil {
		return Recipe{}, fmt.Errorf("make an image of a disk: %w", err)
	}
	disk.UID, disk.GID = guest, guest
	return Recipe{Name: name, Files: []ociarchive.Entry{ociarchive.Directory("/disk", 0o555, guest, guest), disk}}, nil
}

// keyLength is the number of hexadecimal digits of a key.
const keyLength = 16

// key names what a recipe makes of the given layers.
func (r Recipe) key(layers []ociarchive.Layer) (string, error) {
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode([]any{r.Name, r.Config}); err != nil {
		return "", fmt.Errorf("name image %s: %w", r.Name, err)
	}
	for _, layer := range layers {
		fmt.Fprintln(sum, layer.Digest)
	}
	return hex.EncodeToString(sum.Sum(nil))[:keyLength], nil
}

// entries are what the recipe puts over Debian's packages.
func (r Recipe) entries(binaries map[string]string) ([]ociarchive.Entry, error) {
	entries := slices.Clone(r.Files)
	for target, name := range r.Programs {
		path, ok := binaries[name]
		if !ok {
			return nil, fmt.Errorf("make image %s: %s was not built", r.Name, name)
		}
		entry, err := ociarchive.File(target, path, 0o755)
		if err != nil {
			return nil, fmt.Errorf("make image %s: %w", r.Name, err)
		}
		entry.Capability = r.Capabilities[target]
		entries = append(entries, entry)
	}
	return entries, nil
}

// contentKey names a layer by its entries: their places and contents.
func contentKey(entries []ociarchive.Entry) (string, error) {
	sorted := slices.Clone(entries)
	slices.SortStableFunc(sorted, func(a, b ociarchive.Entry) int { return cmp.Compare(a.Name, b.Name) })
	sum := sha256.New()
	for _, e := range sorted {
		fmt.Fprintf(sum, "%q %v %d %d %q %x %d\n", e.Name, e.Mode, e.UID, e.GID, e.Link, e.Capability, e.Size)
		if e.Mode.Type() != 0 || e.Open == nil {
			continue
		}
		if err := add(sum, e); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:keyLength], nil
}

func add(sum io.Writer, e ociarchive.Entry) error {
	content, err := e.Open()
	if err != nil {
		return fmt.Errorf("read %s: %w", e.Name, err)
	}
	defer content.Close()
	if _, err := io.Copy(sum, content); err != nil {
		return fmt.Errorf("read %s: %w", e.Name, err)
	}
	return nil
}

// exists says whether a file is there.
func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	switch {
	case err == nil:
		return true, nil
	case os.IsNotExist(err):
		return false, nil
	}
	return false, fmt.Errorf("look into the image cache: %w", err)
}
