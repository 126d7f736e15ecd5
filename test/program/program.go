// Package program builds Slipway's commands for tests that run them as processes.
//
// In comes the name of a command, out goes a binary that lives as long as the
// test. It never builds with the race detector or cgo: the binaries are those that
// `make build` makes, so that what was compiled for one is there for the other.
package program

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Build builds slipway.dev/slipway/cmd/<name>, or ends the test.
func Build(tb testing.TB, name string) string {
	tb.Helper()
	binary := filepath.Join(tb.TempDir(), name)
	build := exec.CommandContext(tb.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", binary, "slipway.dev/slipway/cmd/"+name)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("build %s: %v: %s", name, err, out)
	}
	return binary
}
