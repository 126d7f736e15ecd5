package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"slipway.dev/slipway/internal/ociarchive"
	"slipway.dev/slipway/test/engine/cached"
	"slipway.dev/slipway/test/engine/lock"
)

// Cache keeps layers and archives in a directory.
type Cache struct {
	dir    string
	report func(Step)
}

// Step is one image that was made, or found.
type Step struct {
	// Image by its short name; for Debian's part of it, "NAME (packages)".
	Image string
	// Cached says that it was there already.
	Cached bool
	// Took is how long it was.
	Took time.Duration
}

// NewCache keeps images below dir and reports each step; report may be nil.
func NewCache(dir string, report func(Step)) *Cache {
	if report == nil {
		report = func(Step) {}
	}
	return &Cache{dir: dir, report: report}
}

// Make makes an image and returns its archive.
func (c *Cache) Make(ctx context.Context, r Recipe, binaries map[string]string) (string, error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return "", fmt.Errorf("create the image cache: %w", err)
	}
	path, err := c.make(ctx, r, binaries)
	if err != nil {
		return "", fmt.Errorf("make image %s: %w", r.Name, err)
	}
	return path, nil
}

func (c *Cache) make(ctx context.Context, r Recipe, binaries map[string]string) (string, error) {
	started := time.Now()
	layers, err := c.layers(ctx, r, binaries)
	if err != nil {
		return "", err
	}
	key, err := r.key(layers)
	if err != nil {
		return "", err
	}
	archive := filepath.Join(c.dir, r.Name+"-"+key+".tar")
	if found, err := exists(archive); err != nil {
		return "", err
	} else if found {
		c.report(Step{Image: r.Name, Cached: true})
		return archive, cached.Use(time.Now(), archive)
	}
	release, err := c.turn(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	image := ociarchive.Image{Ref: Ref(r.Name), Layers: layers, Config: r.Config, Architecture: runtime.GOARCH}
	if err := image.WriteFile(archive); err != nil {
		return "", err
	}
	c.report(Step{Image: r.Name, Took: time.Since(started)})
	return archive, nil
}

// turn waits for other builds in this cache, which would make the same.
func (c *Cache) turn(ctx context.Context) (release func(), err error) {
	release, err = lock.Wait(ctx, filepath.Join(c.dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("wait for another build in %s: %w", c.dir, err)
	}
	return release, nil
}

func (c *Cache) layers(ctx context.Context, r Recipe, binaries map[string]string) ([]ociarchive.Layer, error) {
	var layers []ociarchive.Layer
	if len(r.Packages) > 0 {
		base, err := c.debian(ctx, r)
		if err != nil {
			return nil, err
		}
		layers = append(layers, base)
	}
	entries, err := r.entries(binaries)
	if err != nil || len(entries) == 0 {
		return layers, err
	}
	key, err := contentKey(entries)
	if err != nil {
		return nil, err
	}
	top, err := c.layer(ctx, "layer-"+key, func(path string) (ociarchive.Layer, error) {
		return ociarchive.WriteLayer(path, entries)
	})
	if err != nil {
		return nil, err
	}
	return append(layers, top), nil
}

// layer takes a layer from the cache, or makes it.
func (c *Cache) layer(ctx context.Context, name string, make func(path string) (ociarchive.Layer, error)) (ociarchive.Layer, error) {
	path := filepath.Join(c.dir, "layers", name+".tar")
	layer, err := described(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return layer, err
	}
	release, err := c.turn(ctx)
	if err != nil {
		return ociarchive.Layer{}, err
	}
	defer release()
	if layer, err := described(path); !errors.Is(err, fs.ErrNotExist) {
		return layer, err
	}
	if layer, err = make(path); err != nil {
		return ociarchive.Layer{}, err
	}
	text, err := json.Marshal(layer)
	if err != nil {
		return ociarchive.Layer{}, fmt.Errorf("describe layer %s: %w", name, err)
	}
	if err := os.WriteFile(description(path), text, 0o644); err != nil {
		return ociarchive.Layer{}, fmt.Errorf("describe layer %s: %w", name, err)
	}
	return layer, nil
}

// description is beside a layer, and written after it: a layer without is not whole.
func description(path string) string { return path + ".json" }

func described(path string) (ociarchive.Layer, error) {
	text, err := os.ReadFile(description(path))
	if err != nil {
		return ociarchive.Layer{}, fmt.Errorf("look for a layer: %w", err)
	}
	var layer ociarchive.Layer
	if err := json.Unmarshal(text, &layer); err != nil {
		return ociarchive.Layer{}, fmt.Errorf("read a layer's description: %w: remove %s", err, description(path))
	}
	layer.Path = path
	return layer, cached.Use(time.Now(), path, description(path))
}
