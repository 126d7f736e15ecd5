package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing/fstest"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/render"
	"slipway.dev/slipway/render/schema"
	"slipway.dev/slipway/render/substitute"
	"slipway.dev/slipway/test/bench/render/pairs"
)

// job renders once.
type job func() error

// contestant is a way to render a source.
type contestant struct {
	name string
	// jobs run at the same time, each on a core of its own.
	jobs []job
	// batch is how often they run in one turn; the time is that of one.
	batch int
	// to is the name of another contestant that this one is compared with; of two at a time it is the wall clock, else the
	// CPU time.
	to     string
	target string
}

const (
	kustomize = "kustomize"
	slipway   = "slipway"
)

// contestants are the ways to render n pairs.
func contestants(ctx context.Context, n int, whole bool) ([]contestant, error) {
	validator, err := schema.FromFS(crd.Files)
	if err != nil {
		return nil, fmt.Errorf("load definitions: %w", err)
	}
	one, other := pairs.Source(n), otherSource(n)
	plain := func(in render.Input) job { return renders(ctx, render.New(1, nil), in) }
	batch := max(100/n, 1)
	ours := contestant{name: slipway, jobs: []job{plain(render.Input{Files: one})}, batch: batch, target: "< 2000 ms"}
	rest := []contestant{
		{
			name: "slipway, checked", batch: batch, to: slipway,
			jobs: []job{renders(ctx, render.New(1, validator), render.Input{Files: one, Variables: substitute.Variables{}})},
		},
		{
			name: "slipway, two sources on two cores", batch: batch, to: slipway, target: "near 0.5",
			jobs: []job{plain(render.Input{Files: one}), plain(render.Input{Files: other})},
		},
		{name: "slipway, remembered", batch: 1000, jobs: []job{plain(render.Input{Files: one, Digest: "sha256:1"})}, target: "≤ 0.1 ms"},
	}
	if n >= 500 && !whole {
		return append([]contestant{ours}, rest...), nil
	}
	if ours.to = kustomize; n < 500 {
		ours.target = "≤ 1.2"
	}
	var mu sync.Mutex
	peer, second, err := peers(one, other)
	if err != nil {
		return nil, err
	}
	return append([]contestant{
		{name: kustomize, jobs: []job{peer}, batch: batch},
		{name: "kustomize behind one lock, two sources on two cores", jobs: []job{behind(&mu, peer), behind(&mu, second)}, batch: batch, to: kustomize},
		ours,
	}, rest...), nil
}

// otherSource is one of the same size for another namespace.
func otherSource(n int) fstest.MapFS {
	files := pairs.Source(n)
	overlay := files["kustomization.yaml"]
	overlay.Data = bytes.ReplaceAll(overlay.Data, []byte("namespace: shop"), []byte("namespace: club"))
	return files
}

func renders(ctx context.Context, r *render.Renderer, in render.Input) job {
	return func() error {
		_, err := r.Render(ctx, in)
		return err //nolint:wrapcheck // reported as it is
	}
}

func peers(one, other fstest.MapFS) (first, second job, err error) {
	if first, err = peer(one); err == nil {
		second, err = peer(other)
	}
	return first, second, err
}

func peer(files fstest.MapFS) (job, error) {
	memory := filesys.MakeFsInMemory()
	for name, f := range files {
		if err := memory.WriteFile("/"+name, f.Data); err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
	}
	return func() error {
		_, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(memory, "/")
		return err //nolint:wrapcheck // reported as it is
	}, nil
}

// behind lets one render run at a time.
func behind(mu *sync.Mutex, j job) job {
	return func() error {
		mu.Lock()
		defer mu.Unlock()
		return j()
	}
}
