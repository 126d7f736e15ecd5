// Command images makes the images of slipway-controller and slipway-dvcr without a container engine, as OCI archives that
// containerd, podman and skopeo import.
//
// In come the sources of this repository, and of this machine its certificates and, for slipway-dvcr, Debian's qemu-img
// with its libraries; out goes one archive for each image. It never pushes anything.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/internal/ociarchive"
)

// user that the programs run as when nobody names another.
const user = "65532:65532"

// authorities is where Debian keeps the certificates of public authorities, and where Go looks for them.
const authorities = "/etc/ssl/certs/ca-certificates.crt"

// options are the flags.
type options struct {
	out, prefix, tag, ldflags string
}

func main() {
	var o options
	flag.StringVar(&o.out, "out", "bin/images", "directory for the archives")
	flag.StringVar(&o.prefix, "prefix", "localhost", "registry and path in the images' names")
	flag.StringVar(&o.tag, "tag", "latest", "tag of the images")
	flag.StringVar(&o.ldflags, "ldflags", "-s -w", "flags for the linker")
	flag.Parse()
	if err := o.makeAll(); err != nil {
		fmt.Fprintf(os.Stderr, "make the images: %v\n", err)
		os.Exit(1)
	}
}

func (o options) makeAll() error {
	converter, err := program("qemu-img")
	if err != nil {
		return fmt.Errorf("slipway-dvcr converts foreign formats with qemu-img; install Debian's qemu-utils: %w", err)
	}
	for name, further := range map[string][]ociarchive.Entry{"slipway-controller": nil, "slipway-dvcr": converter} {
		if err := o.make(name, further); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// make builds a command and writes its image.
func (o options) make(name string, further []ociarchive.Entry) error {
	dir, err := os.MkdirTemp("", "slipway-images-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary directory
	binary := filepath.Join(dir, name)
	build := exec.Command("go", "build", "-trimpath", "-ldflags", o.ldflags, "-o", binary, "./cmd/"+name)
	build.Env, build.Stderr = append(os.Environ(), "CGO_ENABLED=0"), os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	entries := append(base(), further...)
	for path, source := range map[string]string{"usr/bin/" + name: binary, authorities: authorities} {
		entry, err := ociarchive.File(path, source, modeOf(source))
		if errors.Is(err, fs.ErrNotExist) && source == authorities { // none is trusted but those that are named
			continue
		}
		if err != nil {
			return err
		}
		entries = append(entries, entry)
	}
	layer, err := ociarchive.WriteLayer(filepath.Join(dir, "layer"), entries)
	if err != nil {
		return err
	}
	file := filepath.Join(o.out, name+".tar")
	image := ociarchive.Image{
		Ref: o.prefix + "/" + name + ":" + o.tag, Layers: []ociarchive.Layer{layer}, Architecture: runtime.GOARCH,
		Config: ocispec.ImageConfig{Entrypoint: []string{"/usr/bin/" + name}, Env: []string{"PATH=/usr/bin"}, User: user, WorkingDir: "/"},
	}
	if err := image.WriteFile(file); err != nil {
		return err
	}
	fmt.Println(image.Ref, file)
	return nil
}

func modeOf(source string) fs.FileMode {
	if source == authorities {
		return 0o644
	}
	return 0o755
}

// base is what every image has.
func base() []ociarchive.Entry {
	return []ociarchive.Entry{
		ociarchive.Directory("tmp", fs.ModeSticky|0o777, 0, 0),
		ociarchive.Directory("var/lib/slipway", 0o755, 65532, 65532),
		ociarchive.Bytes("etc/passwd", []byte("root:x:0:0::/:/sbin/nologin\nslipway:x:65532:65532::/:/sbin/nologin\n"), 0o644),
		ociarchive.Bytes("etc/nsswitch.conf", []byte("hosts: files dns\n"), 0o644),
	}
}

// program is a program of this machine with the libraries that it is linked to, at the paths where it looks for them.
func program(name string) ([]ociarchive.Entry, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, fmt.Errorf("find the program: %w", err)
	}
	listed, err := exec.Command("ldd", path).Output()
	if err != nil {
		return nil, fmt.Errorf("list the libraries of %s: %w", path, err)
	}
	var entries []ociarchive.Entry
	for _, file := range append(libraries(string(listed)), path) {
		entry, err := ociarchive.File(file, file, 0o755)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
	}
	return entries, nil
}

// libraries reads the paths in what ldd prints: "name => /path (address)", or "/path (address)" for the loader.
func libraries(listed string) []string {
	var found []string
	for line := range strings.Lines(listed) {
		for field := range strings.FieldsSeq(line) {
			if strings.HasPrefix(field, "/") {
				found = append(found, field)
			}
		}
	}
	return found
}
