package catalog

import (
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"slipway.dev/slipway/internal/ociarchive"
	"slipway.dev/slipway/test/engine/build"
	"slipway.dev/slipway/test/engine/image"
	"slipway.dev/slipway/test/engine/kubevirt"
)

// virtualizationPackages are what launcher and handler find around them.
var virtualizationPackages = []string{
	"libvirt-daemon", "libvirt-daemon-driver-qemu", "libvirt-clients", "qemu-system-x86", "qemu-utils", "seabios", "ovmf",
	"xorriso", "iproute2", "iptables", "nftables", "passt", "procps", "util-linux", "ca-certificates",
}

// newer are the sources of libvirt and QEMU, and of the firmware that QEMU wants with it: KubeVirt migrates guests with
// parameters that libvirt knows since 10.9.
var newer = []string{"libvirt", "qemu", "seabios"}

// launcherFiles are configuration and scripts of the launcher's image.
//
//go:embed launcher
var launcherFiles embed.FS

// bindServices lets the launcher's monitor give a guest's network helpers the
// low ports: the attribute of a file, version 2, effective and permitted, with
// CAP_NET_BIND_SERVICE (bit 10).
var bindServices = []byte{0x01, 0x00, 0x00, 0x02, 0x00, 0x04, 0x00, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

// qemuUser is who runs guests in the launcher's image.
const (
	qemuUser = 107
)

// serviceUser is who the servers' pods want not to be root.
const serviceUser = "1001"

func virtualization(root string) (Component, error) {
	handler, err := virtualizationImage("virt-handler", "virt-handler", "virt-chroot")
	if err != nil {
		return Component{}, err
	}
	launcher, err := virtualizationImage("virt-launcher",
		"virt-launcher", "virt-launcher-monitor", "virt-probe", "virt-tail", "virt-freezer", "virt-chroot", "container-disk")
	if err != nil {
		return Component{}, err
	}
	services := []image.Recipe{
		service("virt-api"), service("virt-controller"), service("virt-exportserver", small...), service("virt-exportproxy", small...),
	}
	for i := range services {
		services[i].Config.User = serviceUser
	}
	launcher.Capabilities = map[string][]byte{"/usr/bin/virt-launcher-monitor": bindServices}
	return Component{
		Name:    KubeVirt,
		Modules: []build.Module{kubevirt.Module(root)},
		Images:  append(services, handler, launcher),
	}, nil
}

// service is an image of a program that serves, found by its name.
func service(name string, packages ...string) image.Recipe {
	return image.Recipe{
		Name: name, Packages: packages,
		Programs: map[string]string{"/usr/bin/" + name: name},
		Files: []ociarchive.Entry{
			ociarchive.Directory("tmp", fs.ModeSticky|0o777, 0, 0),
			ociarchive.Bytes("etc/passwd", []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:1001:1001:user:/:/sbin/nologin\n"), 0o644),
			ociarchive.Bytes("etc/group", []byte("root:x:0:\nnonroot:x:1001:\n"), 0o644),
		},
		Config: ocispec.ImageConfig{Entrypoint: []string{"/usr/bin/" + name}, Env: []string{"PATH=/usr/bin:/bin"}, WorkingDir: "/"},
	}
}

// virtualizationImage has QEMU and libvirt, and the programs.
func virtualizationImage(name string, programs ...string) (image.Recipe, error) {
	files, err := launcherEntries()
	if err != nil {
		return image.Recipe{}, err
	}
	recipe := image.Recipe{
		Name: name, Packages: virtualizationPackages, Backports: newer, Programs: map[string]string{}, Files: files,
		Config: ocispec.ImageConfig{
			Entrypoint: []string{"/usr/bin/" + name},
			Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			WorkingDir: "/",
		},
	}
	for _, program := range programs {
		recipe.Programs["/usr/bin/"+program] = program
	}
	return recipe, nil
}

// launcherModes are the places of the files, and their permissions.
var launcherModes = map[string]struct {
	target string
	mode   fs.FileMode
}{
	"qemu.conf":        {"etc/libvirt/qemu.conf", 0o644},
	"virtqemud.conf":   {"etc/libvirt/virtqemud.conf", 0o644},
	"virtlogd.conf":    {"etc/libvirt/virtlogd.conf", 0o644},
	"nsswitch.conf":    {"etc/nsswitch.conf", 0o644},
	"passwd":           {"etc/passwd", 0o644},
	"group":            {"etc/group", 0o644},
	"virtqemud":        {"usr/sbin/virtqemud", 0o755},
	"node-labeller.sh": {"usr/bin/node-labeller.sh", 0o755},
}

func launcherEntries() ([]ociarchive.Entry, error) {
	entries := []ociarchive.Entry{
		ociarchive.Symlink("usr/libexec/qemu-kvm", "/usr/bin/qemu-system-x86_64"),
		ociarchive.Directory("init/usr/bin", 0o755, 0, 0),
	}
	for _, dir := range []string{"run/libvirt", "run/kubevirt", "run/kubevirt-private", "run/kubevirt-ephemeral-disks"} {
		entries = append(entries, ociarchive.Directory(dir, 0o755, 0, 0))
	}
	for _, dir := range []string{
		"var/log/libvirt", "var/log/libvirt/qemu", "var/lib/libvirt", "var/lib/libvirt/qemu", "var/lib/libvirt/boot",
		"var/lib/libvirt/images", "var/cache/libvirt", "var/cache/libvirt/qemu",
	} {
		entries = append(entries, ociarchive.Directory(dir, 0o755, qemuUser, qemuUser))
	}
	for _, name := range slices.Sorted(maps.Keys(launcherModes)) {
		content, err := launcherFiles.ReadFile("launcher/" + name)
		if err != nil {
			return nil, fmt.Errorf("read the launcher's %s: %w", name, err)
		}
		place := launcherModes[name]
		entries = append(entries, ociarchive.Bytes(place.target, content, place.mode))
	}
	return entries, nil
}
