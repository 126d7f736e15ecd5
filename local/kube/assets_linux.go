package kube

import (
	"context"
	"errors"
	"syscall"
)

// start runs the three programs and waits until the API server answers.
func (a assets) start(ctx context.Context, o Options) (process, error) {
	g, err := newGroup(o)
	if err != nil {
		return nil, err
	}
	if err := a.run(ctx, o, g); err != nil {
		return nil, errors.Join(err, g.stop(ctx))
	}
	return g, nil
}

func (a assets) run(ctx context.Context, o Options, g *group) error {
	site, err := prepareSite(o, g.sockets)
	if err != nil {
		return err
	}
	if err := g.launch(a.etcd, site.etcdArgs(o.Ephemeral), syscall.SIGTERM); err != nil {
		return err
	}
	// What keeps no data of its own is killed with this process: asked, the
	// API server would wait for an etcd that has ended before it.
	if err := g.launch(a.server, site.serverArgs(), syscall.SIGKILL); err != nil {
		return err
	}
	if err := g.waitReady(ctx, o); err != nil {
		return err
	}
	if err := g.launch(a.controllers, site.controllerArgs(), syscall.SIGKILL); err != nil {
		return err
	}
	g.watch()
	return nil
}
