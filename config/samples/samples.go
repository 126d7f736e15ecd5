// Package samples carries the repository that `slipway up --demo` starts with.
//
// In come the address and checksum of an image and a public SSH key; out goes
// the tree of the first commit. It never writes anything.
package samples

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing/fstest"
)

//go:embed demo/*.yaml
var files embed.FS

// Demo is what the demo's manifests leave open.
type Demo struct {
	ImageURL     string
	ImageSHA256  string
	SSHPublicKey string
}

// Tree renders the demo repository: one VirtualImage, one VirtualDisk made from
// it and one VirtualMachine that boots from the disk.
func (d Demo) Tree() (fs.FS, error) {
	fill := strings.NewReplacer("IMAGE_URL", d.ImageURL, "IMAGE_SHA256", d.ImageSHA256, "SSH_PUBLIC_KEY", strings.TrimSpace(d.SSHPublicKey))
	tree := fstest.MapFS{}
	names, err := fs.Glob(files, "demo/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list the demo's manifests: %w", err)
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read the demo's manifest %s: %w", name, err)
		}
		tree[path.Base(name)] = &fstest.MapFile{Data: []byte(fill.Replace(string(text))), Mode: 0o644}
	}
	return tree, nil
}
