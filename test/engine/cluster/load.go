package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"slipway.dev/slipway/test/engine/await"
)

// load gives every node the images of the options.
func (r *run) load(ctx context.Context) error {
	names := make([]string, 0, len(r.plan.Nodes))
	for _, n := range r.plan.Nodes {
		names = append(names, n.Name)
	}
	return r.layout.Load(ctx, names, r.options.Images)
}

// Load imports image archives into nodes, several nodes at a time.
func (l Layout) Load(ctx context.Context, nodes, archives []string) error {
	failures := make([]error, len(nodes))
	var all sync.WaitGroup
	for i, n := range nodes {
		all.Go(func() {
			if failures[i] = l.awaitRuntime(ctx, n); failures[i] != nil {
				return
			}
			for _, archive := range archives {
				if failures[i] = l.loadOne(ctx, n, archive); failures[i] != nil {
					return
				}
			}
			failures[i] = l.nameByDigest(ctx, n)
		})
	}
	all.Wait()
	return errors.Join(failures...)
}

// awaitRuntime waits until the container runtime answers.
func (l Layout) awaitRuntime(ctx context.Context, node string) error {
	return await.Until(ctx, "containerd of "+node, func(context.Context) (bool, string) {
		output, err := l.inside(nil, node, "ctr", "version")
		return err == nil, fmt.Sprint(err, string(output))
	})
}

// loadOne leaves it to the first container to unpack an image: most nodes never
// run most images.
func (l Layout) loadOne(ctx context.Context, node, archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("load image: %w", err)
	}
	defer f.Close()
	if output, err := l.inside(f, node, "ctr", "images", "import", "--no-unpack", "-"); err != nil {
		return fmt.Errorf("load image %s into %s: %w: %s", archive, node, errors.Join(err, ctx.Err()), output)
	}
	return nil
}

// inside runs a command in a node and returns what it says.
func (l Layout) inside(input *os.File, node string, args ...string) ([]byte, error) {
	cmd, err := l.Enter(node, args...)
	if err != nil {
		return nil, err
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if input != nil {
		cmd.Stdin = input
	}
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return output.Bytes(), fmt.Errorf("run %s in %s: %w", args[0], node, err)
	}
	return output.Bytes(), nil
}
