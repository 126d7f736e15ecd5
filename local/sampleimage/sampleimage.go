package sampleimage

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed build.sh all:rootfs
var sources embed.FS

//go:embed packages.txt
var packages string

// Packages names the Debian packages whose programs the build runs. The content of the guest is downloaded, not installed.
func Packages() []string { return strings.Fields(packages) }

// Build writes the image to the file out and the build's own progress lines to log.
func Build(ctx context.Context, out string, log io.Writer) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return fmt.Errorf("build sample image %s: %w", out, err)
	}
	dir, err := os.MkdirTemp("", "slipway-sampleimage-")
	if err != nil {
		return fmt.Errorf("build sample image %s: %w", out, err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.CopyFS(dir, sources); err != nil {
		return fmt.Errorf("build sample image %s: unpack the build: %w", out, err)
	}
	return run(ctx, dir, out, log)
}

// Digest names the build: it changes when build.sh or a file of the guest changes, so that a caller can keep images.
func Digest() (string, error) { return digest(sources) }

func run(ctx context.Context, dir, out string, log io.Writer) error {
	tail := &lastLine{}
	cmd := exec.CommandContext(ctx, "/bin/bash", filepath.Join(dir, "build.sh"), out)
	cmd.Stdout, cmd.Stderr = log, io.MultiWriter(log, tail)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("build sample image %s: %w", out, errors.Join(err, tail.err()))
	}
	return nil
}

func digest(files fs.FS) (string, error) {
	sum, err := hashTree(files)
	if err != nil {
		return "", fmt.Errorf("name the sample image's build: %w", err)
	}
	return sum, nil
}
