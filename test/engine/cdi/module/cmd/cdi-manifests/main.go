// Command cdi-manifests writes what CDI's operator would install.
package main

import (
	"flag"
	"fmt"
	"os"

	"slipway.dev/slipway/test/engine/cdi/module/manifest"
)

func main() {
	var plan manifest.Plan
	out := flag.String("out", "manifests", "directory to write to; created when it does not exist")
	shape := flag.String("shape", string(manifest.Pods), "how the control plane runs: pods or processes")
	flag.StringVar(&plan.Namespace, "namespace", "cdi", "namespace of CDI")
	flag.StringVar(&plan.Registry, "registry", "localhost", "registry of the images")
	flag.StringVar(&plan.Tag, "tag", "engine", "tag of the images")
	flag.IntVar(&plan.Port, "port", 0, "port of CDI's API server on the host, for processes")
	flag.UintVar(&plan.Verbosity, "verbosity", 1, "log level of CDI's components")
	flag.Parse()
	plan.Shape = manifest.Shape(*shape)
	if err := manifest.Write(*out, plan); err != nil {
		fmt.Fprintln(os.Stderr, "Error:", err)
		os.Exit(1)
	}
}
