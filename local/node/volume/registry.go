package volume

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"oras.land/oras-go/v2/registry/remote"
	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/registry"
)

// Reference names an image in a registry and how to get at it.
type Reference struct {
	Host       string // host:port
	Repository string
	Tag        string // or a digest
	Username   string
	Password   string
	CABundle   []byte // PEM; empty means the system's authorities
}

// ErrReference says that a reference cannot be read.
var ErrReference = errors.New("the image reference is not valid")

// ParseReference reads host/repository:tag or host/repository@digest, with or without docker:// before it.
func ParseReference(text string) (Reference, error) {
	rest := strings.TrimPrefix(text, "docker://")
	host, path, found := strings.Cut(rest, "/")
	if !found || host == "" || path == "" {
		return Reference{}, fmt.Errorf("%w: %q is not host/repository:tag", ErrReference, text)
	}
	ref := Reference{Host: host}
	if repository, digest, ok := strings.Cut(path, "@"); ok {
		ref.Repository, ref.Tag = repository, digest
		return ref, nil
	}
	i := strings.LastIndexByte(path, ':')
	if i <= 0 || i == len(path)-1 {
		return Reference{}, fmt.Errorf("%w: %q names no tag", ErrReference, text)
	}
	ref.Repository, ref.Tag = path[:i], path[i+1:]
	return ref, nil
}

// String is the reference without its secrets.
func (r Reference) String() string {
	if strings.Contains(r.Tag, ":") {
		return r.Host + "/" + r.Repository + "@" + r.Tag
	}
	return r.Host + "/" + r.Repository + ":" + r.Tag
}

// Image is what a registry says of an image.
type Image struct {
	Digest string // names the content
	Size   int64  // of the disk, in bytes
}

// Registry brings disk images.
type Registry interface {
	Inspect(ctx context.Context, ref Reference) (Image, error)
	// Restore writes the whole disk into an empty file and verifies it.
	Restore(ctx context.Context, ref Reference, into *os.File, progress func(done, total int64)) error
}

// DVCR is the Registry that reads Slipway's disk artifacts from any OCI registry.
type DVCR struct{}

// Inspect reads the artifact's description.
func (DVCR) Inspect(ctx context.Context, ref Reference) (Image, error) {
	target, err := ref.open()
	if err != nil {
		return Image{}, err
	}
	info, err := disk.Inspect(ctx, target, ref.Tag)
	if err != nil {
		return Image{}, fmt.Errorf("look up image %s: %w", ref, err)
	}
	return Image{Digest: info.Config.ContentDigest.String(), Size: info.Config.VirtualSize}, nil
}

// Restore writes the artifact's disk into the file.
func (DVCR) Restore(ctx context.Context, ref Reference, into *os.File, progress func(done, total int64)) error {
	target, err := ref.open()
	if err != nil {
		return err
	}
	options := disk.RestoreOptions{Progress: func(p disk.Progress) { progress(p.Done, max(p.Total, 0)) }}
	if _, err := disk.Restore(ctx, target, ref.Tag, into, options); err != nil {
		return fmt.Errorf("restore image %s: %w", ref, err)
	}
	return nil
}

func (r Reference) open() (*remote.Repository, error) {
	var options []registry.Option
	if len(r.CABundle) > 0 {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(r.CABundle) {
			return nil, fmt.Errorf("reach registry %s: the CA bundle holds no PEM certificate", r.Host)
		}
		options = append(options, registry.WithRoots(roots))
	}
	client := registry.NewClient(r.Host, registry.Credentials{Username: r.Username, Password: r.Password}, options...)
	target, err := client.Repository(r.Repository)
	if err != nil {
		return nil, fmt.Errorf("reach registry %s: %w", r.Host, err)
	}
	return target, nil
}
