package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"slipway.dev/slipway/test/engine/build"
	"slipway.dev/slipway/test/engine/catalog"
	"slipway.dev/slipway/test/engine/image"
	"slipway.dev/slipway/test/engine/preflight"
)

// Directories of the cache.
const (
	binDir   = "bin"
	imageDir = "images"
)

func newBuild(s *settings) *cobra.Command {
	var components []string
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Compile programs and make images, those that the cache does not have",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			started := time.Now()
			made, err := s.build(cmd.Context(), cmd.OutOrStdout(), components)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d programs and %d images are ready after %s\n",
				len(made.binaries), len(made.images), round(time.Since(started)))
			return nil
		},
	}
	componentFlag(cmd, &components)
	return cmd
}

func componentFlag(cmd *cobra.Command, components *[]string) {
	cmd.Flags().StringSliceVar(components, "components", catalog.Names(), "parts of the engine")
	_ = cmd.RegisterFlagCompletionFunc("components", cobra.FixedCompletions(catalog.Names(), cobra.ShellCompDirectiveNoFileComp))
}

// made is what a build resulted in.
type made struct {
	binaries map[string]string
	images   []string
}

func (s *settings) build(ctx context.Context, out io.Writer, names []string) (made, error) {
	cache, err := s.cache()
	if err != nil {
		return made{}, err
	}
	if err := preflight.Build(cache); err != nil {
		return made{}, fmt.Errorf("build the engine: %w", err)
	}
	root, err := s.root()
	if err != nil {
		return made{}, err
	}
	components, err := catalog.New(root, names)
	if err != nil {
		return made{}, err
	}
	binaries, err := compile(ctx, out, cache, components)
	if err != nil {
		return made{}, err
	}
	images, err := pack(ctx, out, cache, components, binaries)
	return made{binaries: binaries, images: images}, err
}

func compile(ctx context.Context, out io.Writer, cache string, components []catalog.Component) (map[string]string, error) {
	builds := build.NewCache(filepath.Join(cache, binDir), func(step build.Step) {
		if !step.Cached {
			fmt.Fprintf(out, "  compiled %s (%s)\n", step.Command, round(step.Took))
		}
	})
	all := map[string]string{}
	for _, component := range components {
		for _, module := range component.Modules {
			fmt.Fprintf(out, "module %s: %d programs\n", module.Name, len(module.Commands))
			binaries, err := builds.Build(ctx, module)
			if err != nil {
				return nil, err
			}
			maps.Copy(all, binaries)
		}
	}
	return all, nil
}

func pack(ctx context.Context, out io.Writer, cache string, components []catalog.Component, binaries map[string]string) ([]string, error) {
	archives := image.NewCache(filepath.Join(cache, imageDir), func(step image.Step) {
		if !step.Cached {
			fmt.Fprintf(out, "  made image %s (%s)\n", step.Image, round(step.Took))
		}
	})
	var paths []string
	for _, component := range components {
		fmt.Fprintf(out, "component %s: %d images\n", component.Name, len(component.Images))
		for _, recipe := range component.Images {
			path, err := archives.Make(ctx, recipe, binaries)
			if err != nil {
				return nil, err
			}
			paths = append(paths, path)
		}
	}
	return paths, nil
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
