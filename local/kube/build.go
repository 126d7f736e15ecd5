package kube

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	modulePath  = "slipway.dev/slipway/local/controlplane"
	moduleDir   = "local/controlplane"
	buildScript = "build.sh"
)

// keepUnused is how long a program is kept that nobody starts.
const keepUnused = 14 * 24 * time.Hour

// reportEvery keeps a build's progress readable.
const reportEvery = time.Second

// fromSource returns the program built from the checkout that this process
// runs in. It is built once for each state of its source and compiler.
func fromSource(ctx context.Context, o Options) (program, error) {
	source, err := findSource()
	if err != nil {
		return nil, err
	}
	compiler, err := goVersion(ctx, source)
	if err != nil {
		return nil, err
	}
	key, err := sourceKey(os.DirFS(source), compiler)
	if err != nil {
		return nil, fmt.Errorf("hash the source in %s: %w", source, err)
	}
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	target := filepath.Join(cache, key, programName)
	if err := buildOnce(ctx, o, source, target); err != nil {
		return nil, fmt.Errorf("build %s: %w", source, err)
	}
	if err := prune(cache, key, time.Now()); err != nil {
		return nil, fmt.Errorf("tidy the cache %s: %w", cache, err)
	}
	return binary(target), nil
}

// findSource looks for a checkout of Slipway around the working directory and
// around this program.
func findSource() (string, error) {
	starts := []string{}
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if self, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(self))
	}
	for _, start := range starts {
		if dir, ok := sourceAbove(start); ok {
			return dir, nil
		}
	}
	return "", fmt.Errorf("%w: no checkout of Slipway around %s", errNotHere, strings.Join(starts, " or "))
}

// sourceAbove walks up from a directory until one holds the module.
func sourceAbove(dir string) (string, bool) {
	for {
		candidate := filepath.Join(dir, moduleDir)
		text, err := os.ReadFile(filepath.Join(candidate, "go.mod"))
		if err == nil && bytes.HasPrefix(text, []byte("module "+modulePath+"\n")) {
			return candidate, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

func goVersion(ctx context.Context, dir string) (string, error) {
	command := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	command.Dir = dir
	text, err := command.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("%w: the go command is not on the PATH", errNotHere)
	}
	if err != nil {
		return "", fmt.Errorf("ask go for its version: %w", err)
	}
	return string(text), nil
}

// sourceKey names what a build depends on: the compiler, the pinned modules,
// the flags (they stand in the build script) and the source.
func sourceKey(source fs.FS, compiler string) (string, error) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n", compiler)
	err := fs.WalkDir(source, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !shapesBuild(path) {
			return err
		}
		return hashFile(hash, source, path)
	})
	if err != nil {
		return "", fmt.Errorf("read source: %w", err)
	}
	return hex.EncodeToString(hash.Sum(nil))[:20], nil
}

func shapesBuild(path string) bool {
	switch filepath.Base(path) {
	case "go.mod", "go.sum", buildScript:
		return true
	}
	return strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
}

func hashFile(hash io.Writer, source fs.FS, path string) error {
	text, err := fs.ReadFile(source, path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	// The length keeps one file's end and the next one's name apart.
	fmt.Fprintf(hash, "%s %d\n", path, len(text))
	if _, err := hash.Write(text); err != nil {
		return fmt.Errorf("hash %s: %w", path, err)
	}
	return nil
}

// cacheDir is where built programs are kept.
func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache directory: %w: set $HOME or $XDG_CACHE_HOME", err)
	}
	return filepath.Join(base, "slipway", "controlplane"), nil
}

// buildOnce builds the target unless it exists. Of several processes that need
// it at once, one builds and the others wait.
func buildOnce(ctx context.Context, o Options, source, target string) error {
	if exists(target) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return fmt.Errorf("create cache: %w", err)
	}
	unlock, err := lockBuild(ctx, filepath.Dir(target)+".lock", o.Progress)
	if err != nil {
		return err
	}
	defer unlock()
	if exists(target) {
		return nil
	}
	if err := build(ctx, o, source, target+".new"); err != nil {
		return err
	}
	if err := os.Rename(target+".new", target); err != nil {
		return fmt.Errorf("put the program into the cache: %w", err)
	}
	return nil
}

// prune deletes programs that nobody started for a while, each as large as a
// hundred megabytes. A program's directory carries the time of its last use.
func prune(cache, used string, now time.Time) error {
	if err := os.Chtimes(filepath.Join(cache, used), now, now); err != nil {
		return fmt.Errorf("note the use: %w", err)
	}
	entries, err := os.ReadDir(cache)
	if err != nil {
		return fmt.Errorf("list: %w", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !entry.IsDir() || now.Sub(info.ModTime()) < keepUnused {
			continue
		}
		if err := os.RemoveAll(filepath.Join(cache, entry.Name())); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// build compiles and links, telling how many packages are still to come.
func build(ctx context.Context, o Options, source, target string) error {
	o.Progress(fmt.Sprintf("build %s from source; the first time compiles Kubernetes, which takes some minutes", programName))
	total := stalePackages(ctx, source)
	command := exec.CommandContext(ctx, "/bin/sh", filepath.Join(source, buildScript), target, "-v")
	var output bytes.Buffer
	counter := newBuildCounter(total, o.Progress)
	command.Stdout = o.Log
	command.Stderr = io.MultiWriter(&output, o.Log, counter)
	command.WaitDelay = time.Second
	if err := command.Run(); err != nil {
		return fmt.Errorf("run %s: %w%s", buildScript, err, failure(output.String()))
	}
	return nil
}

// stalePackages counts what has to be compiled; 0 when that cannot be told,
// which costs the total in the progress and nothing else.
func stalePackages(ctx context.Context, source string) int {
	command := exec.CommandContext(ctx, "go", "list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}", "./cmd/"+programName)
	command.Dir = source
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-trimpath -buildvcs=false")
	text, err := command.Output()
	if err != nil {
		return 0
	}
	return len(strings.Fields(string(text)))
}

// failure keeps those lines of a build's output that are not the name of a
// package compiled, or the whole when all are.
func failure(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	messages := slices.DeleteFunc(slices.Clone(lines), isPackage)
	if len(messages) == 0 {
		messages = lines
	}
	messages = messages[max(0, len(messages)-tailLines):]
	return ":\n  " + strings.Join(messages, "\n  ")
}

// isPackage says whether a line of `go build -v` names a package.
func isPackage(line string) bool {
	return line != "" && !strings.ContainsAny(line, " :#")
}

// buildCounter turns the output of `go build -v`, a line for each package,
// into progress.
type buildCounter struct {
	rest     []byte
	count    int
	total    int
	last     time.Time
	now      func() time.Time
	progress func(string)
}

func newBuildCounter(total int, progress func(string)) *buildCounter {
	return &buildCounter{total: total, now: time.Now, progress: progress}
}

// Write implements io.Writer and never fails.
func (b *buildCounter) Write(text []byte) (int, error) {
	b.rest = append(b.rest, text...)
	for {
		advance, line, _ := bufio.ScanLines(b.rest, false)
		if advance == 0 {
			return len(text), nil
		}
		b.rest = b.rest[advance:]
		if isPackage(string(line)) {
			b.packageDone()
		}
	}
}

func (b *buildCounter) packageDone() {
	b.count++
	if now := b.now(); now.Sub(b.last) >= reportEvery {
		b.last = now
		b.progress(b.line())
	}
}

func (b *buildCounter) line() string {
	if b.total < b.count {
		return fmt.Sprintf("compile %s: %d packages", programName, b.count)
	}
	return fmt.Sprintf("compile %s: %d of %d packages", programName, b.count, b.total)
}
