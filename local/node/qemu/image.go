package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// ImageTool is the program that makes and resizes disk files.
const ImageTool = "qemu-img"

// Backing is the file below an overlay. The zero value means none.
type Backing struct {
	File   string // stored as it is given: a relative name is taken from the overlay's own directory
	Format string // raw or qcow2
}

// CreateOverlay makes a qcow2 file of the given size, empty or over another file.
func CreateOverlay(ctx context.Context, file string, over Backing, size int64) error {
	args := []string{"create", "-q", "-f", "qcow2"}
	if over.File != "" {
		args = append(args, "-b", over.File, "-F", over.Format)
	}
	_, err := imageTool(ctx, append(args, file, strconv.FormatInt(size, 10))...)
	return err
}

// ResizeImage grows a qcow2 file that no guest uses. It never shrinks one.
func ResizeImage(ctx context.Context, file string, size int64) error {
	_, err := imageTool(ctx, "resize", "-q", "-f", "qcow2", file, strconv.FormatInt(size, 10))
	return err
}

// ImageSize is the virtual size of a qcow2 file, in bytes. It works while a guest uses the file.
func ImageSize(ctx context.Context, file string) (int64, error) {
	out, err := imageTool(ctx, "info", "-U", "--output", "json", "-f", "qcow2", file)
	if err != nil {
		return 0, err
	}
	var info struct {
		VirtualSize int64 `json:"virtual-size"`
	}
	if err := json.Unmarshal(out, &info); err != nil {
		return 0, fmt.Errorf("read size of %s: %w", file, err)
	}
	return info.VirtualSize, nil
}

func imageTool(ctx context.Context, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, ImageTool, args...).Output()
	if err == nil {
		return out, nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return nil, fmt.Errorf("%s %s: %s", ImageTool, args[0], strings.TrimSpace(string(exit.Stderr)))
	}
	return nil, fmt.Errorf("%s %s: %w", ImageTool, args[0], err)
}
