package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"slipway.dev/slipway/local/gitserver"
)

const (
	branch = "main"
	// perDirectory is how many files stand in a directory of the repository.
	perDirectory = 100
	mib          = 1 << 20
)

// gitFigures clones one directory of a large repository, beside git, and polls.
func gitFigures(ctx context.Context, o options) ([]figure, error) {
	bare := filepath.Join(o.dir, "large.git")
	if err := generate(ctx, bare, o); err != nil {
		return nil, err
	}
	server, err := gitserver.New(gitserver.Options{})
	if err != nil {
		return nil, fmt.Errorf("start the Git server: %w", err)
	}
	defer server.Close() //nolint:errcheck // the measurement is over
	if err := server.Start(ctx); err != nil {
		return nil, fmt.Errorf("start the Git server: %w", err)
	}
	if err := server.AddBare("large", bare); err != nil {
		return nil, fmt.Errorf("serve the repository: %w", err)
	}
	figures, err := clones(ctx, server.URL("large"), o)
	if err != nil {
		return nil, err
	}
	polled, err := measured(ctx, task{URL: server.URL("large"), Dir: o.dir, Polls: o.polls})
	if err != nil {
		return nil, err
	}
	each := polled.CPU.Seconds() * 1000 / float64(o.polls)
	return append(figures, atMost("poll, nothing new", each, "ms CPU", 2, fmt.Sprintf("%d times over HTTP", o.polls))), nil
}

// clones measures both in turns, so that a noisy machine is noisy for both.
func clones(ctx context.Context, url string, o options) ([]figure, error) {
	var theirs, ours []time.Duration
	var growth []float64
	for round := range o.rounds {
		took, err := peer(ctx, url, filepath.Join(o.dir, "clone-"+strconv.Itoa(round)))
		if err != nil {
			return nil, err
		}
		theirs = append(theirs, took)
		dir := filepath.Join(o.dir, "ours-"+strconv.Itoa(round))
		got, err := measured(ctx, task{URL: url, Dir: dir, Sparse: []string{directory(1)}})
		if err != nil {
			return nil, err
		}
		ours, growth = append(ours, got.Wall), append(growth, float64(got.Growth)/mib)
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("remove clone: %w", err)
		}
	}
	how := fmt.Sprintf("%d of %d files, %d MiB repository, shallow and sparse, median of %d", perDirectory, o.files, o.megabytes, o.rounds)
	g, s := median(theirs), median(ours)
	return []figure{
		{Name: "git clone --depth 1 --filter=blob:none --sparse", Value: g.Seconds(), Unit: "s", How: how},
		{Name: "slipway fetch and store", Value: s.Seconds(), Unit: "s", How: how},
		atMost("slipway / git", s.Seconds()/g.Seconds(), "×", 1.5, "same run"),
		atMost("memory growth", median(growth), "MiB", 64, "peak of resident memory, process of its own"),
	}, nil
}

// peer is the same by the git binary.
func peer(ctx context.Context, url, dir string) (time.Duration, error) {
	started := time.Now()
	for _, args := range [][]string{
		{"clone", "-q", "--depth", "1", "--filter=blob:none", "--sparse", "--branch", branch, url, dir},
		{"-C", dir, "sparse-checkout", "set", directory(1)},
	} {
		if err := command(ctx, nil, args...); err != nil {
			return 0, err
		}
	}
	took := time.Since(started)
	if found, _ := filepath.Glob(filepath.Join(dir, directory(1), "*")); len(found) != perDirectory {
		return 0, fmt.Errorf("git cloned %d files, want %d", len(found), perDirectory)
	}
	if err := os.RemoveAll(dir); err != nil {
		return 0, fmt.Errorf("remove clone: %w", err)
	}
	return took, nil
}

func command(ctx context.Context, in io.Reader, args ...string) error {
	c := exec.CommandContext(ctx, "git", args...)
	c.Stdin, c.Stderr = in, os.Stderr
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
	if err := c.Run(); err != nil {
		return fmt.Errorf("git %s: %w", args[0], err)
	}
	return nil
}

func directory(i int) string { return fmt.Sprintf("apps/team-%04d", i) }

// generate makes a repository of files that do not compress, with git's own importer.
func generate(ctx context.Context, bare string, o options) error {
	if err := command(ctx, nil, "init", "-q", "--bare", "--initial-branch", branch, bare); err != nil {
		return err
	}
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(history(w, o)) }()
	if err := command(ctx, r, "-C", bare, "-c", "core.compression=0", "fast-import", "--quiet"); err != nil {
		return err
	}
	return nil
}

// history writes one commit in the format of git fast-import.
func history(w io.Writer, o options) error {
	out := bufio.NewWriterSize(w, mib)
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // content, not a secret
	content := make([]byte, o.megabytes*mib/o.files)
	fmt.Fprintf(out, "commit refs/heads/%s\ncommitter A <a@example.com> 1 +0000\ndata 1\nx\n", branch)
	for i := range o.files {
		for at := 0; at+8 <= len(content); at += 8 {
			word := random.Uint64()
			for b := range 8 {
				content[at+b] = byte(word >> (8 * b))
			}
		}
		fmt.Fprintf(out, "M 100644 inline %s/vm-%05d.yaml\ndata %d\n", directory(i/perDirectory), i, len(content))
		if _, err := out.Write(append(content, '\n')); err != nil {
			return fmt.Errorf("generate: %w", err)
		}
	}
	fmt.Fprintln(out, "done")
	if err := out.Flush(); err != nil {
		return fmt.Errorf("generate: %w", err)
	}
	return nil
}
