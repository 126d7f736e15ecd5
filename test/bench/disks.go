package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"slipway.dev/slipway/dvcr/disk"
	"slipway.dev/slipway/dvcr/registry"
)

// rounds of each pair; ours and the peer's take turns.
const rounds = 3

// measureDisks compares import and restore with what a shell would do.
func measureDisks(ctx context.Context, dir string, megabytes int) ([]figure, error) {
	image, err := makeImage(ctx, dir, megabytes)
	if err != nil {
		return nil, err
	}
	var imports, restores, peers, converts []time.Duration
	for round := range rounds {
		pushed, restored, err := pushAndRestore(ctx, filepath.Join(dir, fmt.Sprint("dvcr", round)), image)
		if err != nil {
			return nil, err
		}
		pipeline, err := timed(func() error { return importByHand(ctx, dir, image) })
		if err != nil {
			return nil, err
		}
		convert, err := timed(func() error {
			return command(ctx, "qemu-img", "convert", "-O", "raw", image, filepath.Join(dir, "converted.raw"))
		})
		if err != nil {
			return nil, err
		}
		imports, restores = append(imports, pushed), append(restores, restored)
		peers, converts = append(peers, pipeline), append(converts, convert)
	}
	mib := float64(megabytes)
	return []figure{
		{Name: "import into DVCR", Value: mib / median(imports).Seconds(), Unit: "MiB/s of data"},
		{Name: "qemu-img convert + zstd -1 -T0 + sha256sum", Value: mib / median(peers).Seconds(), Unit: "MiB/s of data"},
		{Name: "import: time against that", Value: median(imports).Seconds() / median(peers).Seconds(), Unit: "×", Target: "≤ 1.5"},
		{Name: "restore from DVCR", Value: mib / median(restores).Seconds(), Unit: "MiB/s of data"},
		{Name: "qemu-img convert -O raw", Value: mib / median(converts).Seconds(), Unit: "MiB/s of data"},
		{Name: "restore: time against that", Value: median(restores).Seconds() / median(converts).Seconds(), Unit: "×", Target: "< 1"},
	}, nil
}

// makeImage makes a compressed qcow2 of a file system with the files of this
// machine in it.
func makeImage(ctx context.Context, dir string, megabytes int) (string, error) {
	tree := filepath.Join(dir, "tree")
	if err := fillTree(tree, int64(megabytes)<<20); err != nil {
		return "", err
	}
	raw, image := filepath.Join(dir, "image.raw"), filepath.Join(dir, "image.qcow2")
	size := fmt.Sprintf("%dM", megabytes*2+256)
	for _, line := range [][]string{
		{"truncate", "-s", size, raw},
		{"mkfs.ext4", "-q", "-F", "-d", tree, raw},
		{"qemu-img", "convert", "-c", "-O", "qcow2", raw, image},
		{"rm", "-rf", tree, raw},
	} {
		if err := command(ctx, line[0], line[1:]...); err != nil {
			return "", err
		}
	}
	return image, nil
}

// fillTree copies files of /usr until there are enough bytes.
func fillTree(tree string, bytes int64) error {
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", tree, err)
	}
	var copied int64
	number := 0
	err := filepath.WalkDir("/usr", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil
		}
		number++
		copied += int64(len(text))
		if err := os.WriteFile(filepath.Join(tree, fmt.Sprint(number)), text, 0o644); err != nil {
			return fmt.Errorf("copy %s: %w", path, err)
		}
		if copied > bytes {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("gather files: %w", err)
	}
	return nil
}

func pushAndRestore(ctx context.Context, dir, image string) (pushed, restored time.Duration, err error) {
	server, err := registry.NewServer(registry.Config{Dir: dir})
	if err != nil {
		return 0, 0, err
	}
	if err := server.Start(); err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, server.Close(ctx)) }()
	repository, err := server.Client().Repository("bench/image")
	if err != nil {
		return 0, 0, err
	}
	pushed, err = timed(func() error {
		file, err := os.Open(image)
		if err != nil {
			return fmt.Errorf("open the image: %w", err)
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return fmt.Errorf("look at the image: %w", err)
		}
		source, err := disk.OpenQCOW2(file, info.Size())
		if err != nil {
			return err
		}
		_, err = disk.Push(ctx, source, repository, "bench", disk.PushOptions{})
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	restored, err = timed(func() error {
		file, err := os.Create(filepath.Join(dir, "restored.raw"))
		if err != nil {
			return fmt.Errorf("make a file: %w", err)
		}
		defer file.Close()
		_, err = disk.Restore(ctx, repository, "bench", file, disk.RestoreOptions{})
		return err
	})
	return pushed, restored, err
}

// importByHand is what a careful shell script does: decode, compress, hash.
func importByHand(ctx context.Context, dir, image string) error {
	raw := filepath.Join(dir, "byhand.raw")
	for _, line := range [][]string{
		{"qemu-img", "convert", "-O", "raw", image, raw},
		{"zstd", "-1", "-T0", "-q", "-f", raw, "-o", raw + ".zst"},
		{"sha256sum", raw},
	} {
		if err := command(ctx, line[0], line[1:]...); err != nil {
			return err
		}
	}
	return nil
}

func command(ctx context.Context, name string, args ...string) error {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func timed(do func() error) (time.Duration, error) {
	started := time.Now()
	err := do()
	return time.Since(started), err
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
