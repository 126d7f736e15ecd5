package catalog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"slipway.dev/slipway/test/engine/build"
	"slipway.dev/slipway/test/engine/image"
)

// Component is a part of the engine.
type Component struct {
	// Name by which commands know it.
	Name string
	// Modules to compile.
	Modules []build.Module
	// Images to make of what was compiled.
	Images []image.Recipe
}

// Names of components.
const (
	Kubernetes = "kubernetes"
	KubeVirt   = "kubevirt"
	CDI        = "cdi"
	CSI        = "csi"
	Slipway    = "slipway"
)

// modulePath is how the directory of the sources is recognized.
const modulePath = "module slipway.dev/slipway/test/engine\n"

// FindRoot looks for this module's directory at start, above it, and in
// test/engine below each of these.
func FindRoot(start string) (string, error) {
	for dir := start; ; dir = filepath.Dir(dir) {
		for _, candidate := range []string{dir, filepath.Join(dir, "test", "engine")} {
			text, err := os.ReadFile(filepath.Join(candidate, "go.mod"))
			if err == nil && strings.HasPrefix(string(text), modulePath) {
				return candidate, nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
				return "", fmt.Errorf("look for the engine's sources: %w", err)
			}
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("the engine's sources are neither at %s nor above it: run the command inside the repository, or name it with --source", start)
		}
	}
}

// New lists the named components, in the order in which they depend on each other.
func New(root string, names []string) ([]Component, error) {
	all := map[string]func(string) (Component, error){
		Kubernetes: kubernetes,
		KubeVirt:   virtualization,
		CDI:        importing,
		CSI:        storage,
		Slipway:    slipway,
	}
	var components []Component
	for _, name := range names {
		make, ok := all[name]
		if !ok {
			return nil, fmt.Errorf("there is no component %q: choose from %s", name, strings.Join(Names(), ", "))
		}
		component, err := make(root)
		if err != nil {
			return nil, fmt.Errorf("list component %s: %w", name, err)
		}
		components = append(components, component)
	}
	return components, nil
}

// Names are all components, in the order in which they depend on each other.
func Names() []string { return []string{Kubernetes, CSI, KubeVirt, CDI, Slipway} }
