package platform

import (
	"context"
	"errors"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"

	"slipway.dev/slipway/dvcr/importer"
)

// run starts the manager. It outlives the context that asks for the end, because
// guests shut down through it; Stop ends it.
func (p *Platform) run(ctx context.Context, mgr ctrl.Manager, imports *importer.Runner) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		err := mgr.Start(running)
		if running.Err() == nil {
			p.fail(fmt.Errorf("the controllers have ended: %w", errors.Join(err, errors.New("see run/controllers.log in the data directory"))))
		}
		ended <- err
	}()
	p.onStop(func(ctx context.Context) error {
		err := p.engine.Shutdown(ctx)
		cancel()
		err = errors.Join(err, <-ended)
		imports.Close()
		return err
	})
}
