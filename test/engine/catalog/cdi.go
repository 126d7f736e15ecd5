package catalog

import (
	_ "embed" // the cloner's script

	"slipway.dev/slipway/internal/ociarchive"
	"slipway.dev/slipway/test/engine/build"
	"slipway.dev/slipway/test/engine/cdi"
	"slipway.dev/slipway/test/engine/image"
)

//go:embed cdi/cloner-startup.sh
var clonerStartup []byte

// diskPackages are what programs that read and write disk images find around them.
var diskPackages = []string{"ca-certificates", "nbdkit", "qemu-utils", "util-linux"}

// small is what a program needs that is looked at from outside with cat.
var small = []string{"ca-certificates"}

func importing(root string) (Component, error) {
	const startup = "/usr/bin/cloner_startup.sh"
	cloner := service("cdi-cloner", diskPackages...)
	cloner.Files = append(cloner.Files, ociarchive.Bytes(startup, clonerStartup, 0o755))
	cloner.Config.Entrypoint = []string{startup}

	importer := service("cdi-importer", diskPackages...)
	importer.Config.Entrypoint = append(importer.Config.Entrypoint, "-alsologtostderr")
	upload := service("cdi-uploadserver", diskPackages...)
	upload.Config.Entrypoint = append(upload.Config.Entrypoint, "-alsologtostderr")
	images := []image.Recipe{
		service("cdi-apiserver"), service("cdi-controller", small...), service("cdi-uploadproxy"), importer, cloner, upload,
	}
	for i := range images {
		images[i].Config.User = serviceUser
	}
	return Component{Name: CDI, Modules: []build.Module{cdi.Module(root)}, Images: images}, nil
}
