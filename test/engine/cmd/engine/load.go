package main

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/test/engine/image"
)

func newLoad(s *settings) *cobra.Command {
	var disks map[string]string
	cmd := &cobra.Command{
		Use:   "load [ARCHIVE...]",
		Short: "Give every node the images in OCI or Docker archives, or disks as images",
		Example: `  engine load my-app.tar
  engine load --disk sample=sample.qcow2   # containerDisk: {image: localhost/sample:engine}`,
		RunE: func(cmd *cobra.Command, archives []string) error {
			if len(archives)+len(disks) == 0 {
				return fmt.Errorf("nothing to load: name an archive, or a disk with --disk NAME=FILE")
			}
			l, err := s.layout()
			if err != nil {
				return err
			}
			state, err := l.ReadState()
			if err != nil {
				return err
			}
			made, err := s.packDisks(cmd.Context(), disks)
			if err != nil {
				return err
			}
			return l.Load(cmd.Context(), state.Nodes, append(archives, made...))
		},
	}
	cmd.Flags().StringToStringVar(&disks, "disk", nil, "NAME=FILE of a guest's disk, which becomes the image localhost/NAME:engine")
	return cmd
}

// packDisks makes images of disks, in the cache.
func (s *settings) packDisks(ctx context.Context, disks map[string]string) ([]string, error) {
	cache, err := s.cache()
	if err != nil {
		return nil, err
	}
	archives := image.NewCache(filepath.Join(cache, "images"), nil)
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(disks)) {
		recipe, err := image.Disk(name, disks[name])
		if err != nil {
			return nil, err
		}
		path, err := archives.Make(ctx, recipe, nil)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
