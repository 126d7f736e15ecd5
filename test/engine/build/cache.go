package build

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"slipway.dev/slipway/test/engine/cached"
	"slipway.dev/slipway/test/engine/lock"
)

// Cache keeps binaries in a directory.
type Cache struct {
	dir    string
	report func(Step)
}

// Step is one build that ended, or was found done.
type Step struct {
	// Module and Command are what was built.
	Module, Command string
	// Cached says that it was there already.
	Cached bool
	// Took is how long the build was.
	Took time.Duration
}

// NewCache keeps binaries below dir and reports each step; report may be nil.
func NewCache(dir string, report func(Step)) *Cache {
	if report == nil {
		report = func(Step) {}
	}
	return &Cache{dir: dir, report: report}
}

// Build makes the module's commands, those that the cache does not have. Builds
// of one cache take turns, so that two of them do not compile the same twice.
func (c *Cache) Build(ctx context.Context, m Module) (Binaries, error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("create the build cache: %w", err)
	}
	version, err := goVersion(ctx)
	if err != nil {
		return nil, err
	}
	binaries := Binaries{}
	for _, command := range m.Commands {
		path, err := c.buildOne(ctx, m, command, version)
		if err != nil {
			return nil, fmt.Errorf("build %s of module %s: %w", command.Name, m.Name, err)
		}
		binaries[command.Name] = path
	}
	return binaries, nil
}

func (c *Cache) buildOne(ctx context.Context, m Module, command Command, version string) (string, error) {
	files, err := sources(m, command)
	if err != nil {
		return "", err
	}
	made := ingredients{
		goVersion: version, files: files,
		flags: append(flags(m), command.Package, fmt.Sprint("cgo=", command.CGO)),
	}
	path := filepath.Join(c.dir, m.Name+"-"+made.key(), command.Name)
	if c.has(path) {
		c.report(Step{Module: m.Name, Command: command.Name, Cached: true})
		return path, cached.Use(time.Now(), path)
	}
	release, err := lock.Wait(ctx, filepath.Join(c.dir, "lock"))
	if err != nil {
		return "", fmt.Errorf("wait for another build in %s: %w", c.dir, err)
	}
	defer release()
	started := time.Now()
	if !c.has(path) {
		if err := compile(ctx, m, command, path); err != nil {
			return "", err
		}
	}
	c.report(Step{Module: m.Name, Command: command.Name, Took: time.Since(started)})
	return path, nil
}

// has trusts what is there: compile puts only whole binaries there.
func (c *Cache) has(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// compile writes beside the path and renames, so that a binary that is there is whole.
func compile(ctx context.Context, m Module, command Command, path string) error {
	unfinished := path + ".part"
	args := append([]string{"build", "-o", unfinished}, flags(m)...)
	cmd := exec.CommandContext(ctx, "go", append(args, command.Package)...)
	cmd.Dir = m.Dir
	cmd.Env = environment(os.Environ(), command.CGO)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(cmd.Args[1:], " "), err, tail(output.String()))
	}
	if err := os.Rename(unfinished, path); err != nil {
		return fmt.Errorf("keep binary: %w", err)
	}
	return nil
}

// flags are the same for every build: the compiler's own cache goes by them.
func flags(m Module) []string {
	return []string{"-trimpath", "-buildvcs=false", "-ldflags", strings.Join(append([]string{"-s", "-w"}, m.LDFlags...), " ")}
}

// environment keeps what the caller has set from changing what is built.
func environment(inherited []string, cgo bool) []string {
	enabled := "CGO_ENABLED=0"
	if cgo {
		enabled = "CGO_ENABLED=1"
	}
	return append(inherited, enabled, "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local")
}

func goVersion(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	cmd.Env = environment(os.Environ(), false)
	output, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask go for its version (is Go installed and in PATH?): %w", err)
	}
	return strings.Join(strings.Fields(string(output)), " "), nil
}

// tail keeps the end of a compiler's output, where the errors are.
func tail(text string) string {
	const most = 4000
	if len(text) <= most {
		return text
	}
	return "…" + text[len(text)-most:]
}
