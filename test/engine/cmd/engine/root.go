package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/test/engine/catalog"
	"slipway.dev/slipway/test/engine/cluster"
)

// settings are the flags that all commands share.
type settings struct {
	cacheDir string
	dataDir  string
	source   string
}

func newRoot() *cobra.Command {
	s := &settings{}
	root := &cobra.Command{
		Use:   "engine",
		Short: "Run stock KubeVirt on a Kubernetes of its own, on this machine",
		Long: `Builds Kubernetes and KubeVirt from their sources and runs them on this machine, in
namespaces and control groups of their own. Needs root. Nothing of the host is
changed, and "engine down" leaves nothing behind.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&s.cacheDir, "cache-dir", "", "directory of what was built (default $XDG_CACHE_HOME/slipway/engine)")
	flags.StringVar(&s.dataDir, "data-dir", "", "directory of what runs (default the directory run in the cache)")
	flags.StringVar(&s.source, "source", "", "directory of the repository (default where this runs, or above)")
	root.AddCommand(newBuild(s), newPrune(s), newUp(s), newDown(s), newStatus(s), newKubeconfig(s), newLogs(s), newShell(s), newLoad(s), newDial(s))
	root.AddCommand(newPrepare(), newRun(), newProbe())
	return root
}

func (s *settings) cache() (string, error) {
	if s.cacheDir != "" {
		return absolute(s.cacheDir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w: name one with --cache-dir", err)
	}
	return filepath.Join(dir, "slipway", "engine"), nil
}

func (s *settings) layout() (cluster.Layout, error) {
	if s.dataDir != "" {
		dir, err := absolute(s.dataDir)
		return cluster.Layout{Dir: dir}, err
	}
	cache, err := s.cache()
	return cluster.Layout{Dir: filepath.Join(cache, "run")}, err
}

func (s *settings) root() (string, error) {
	start := s.source
	if start == "" {
		var err error
		if start, err = os.Getwd(); err != nil {
			return "", fmt.Errorf("find the engine's sources: %w", err)
		}
	}
	start, err := absolute(start)
	if err != nil {
		return "", err
	}
	return catalog.FindRoot(start)
}

// absolute follows links too, so that the kernel's and our own paths are the same.
func absolute(path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find directory %s: %w", path, err)
	}
	if resolved, err := filepath.EvalSymlinks(full); err == nil {
		return resolved, nil
	}
	return full, nil
}
