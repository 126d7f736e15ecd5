package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"k8s.io/component-base/version"

	"slipway.dev/slipway/local/controlplane/datadir"
	"slipway.dev/slipway/local/controlplane/pki"
)

// How long each part may take to end.
const (
	controllersGrace = 5 * time.Second
	apiServerGrace   = 20 * time.Second
)

var errParentGone = errors.New("the process that started the control plane has gone")

// Run runs a control plane until the context ends, the parent goes, or a part
// of it fails. A stop that was asked for is no error.
func Run(ctx context.Context, config Config) (err error) {
	started := time.Now()
	dir, err := datadir.Open(config.Dir, datadir.Holder{PID: os.Getpid(), Parent: config.ParentPID})
	if err != nil {
		return fmt.Errorf("open data directory: %w", err)
	}
	defer func() { err = errors.Join(err, leave(dir, config.RemoveDataOnExit)) }()
	ctx, cancel := withParent(ctx, config.Parent)
	defer cancel()

	plane, err := start(ctx, dir, config)
	defer func() { err = errors.Join(err, plane.stop()) }()
	if err != nil {
		return stopIsNoError(ctx, err)
	}
	if config.OnReady != nil {
		config.OnReady(plane.ready(dir, started))
	}
	return plane.wait(ctx)
}

// leave removes the data when asked to, then lets others have the directory.
func leave(dir *datadir.Dir, remove bool) error {
	if !remove {
		return dir.Close()
	}
	return errors.Join(dir.Remove(), dir.Close())
}

// withParent returns a context that ends with the parent.
func withParent(ctx context.Context, parent io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if parent != nil {
		go func() {
			// A read error is as good an end as end of file: nobody is there.
			_, _ = io.Copy(io.Discard, parent)
			cancel(errParentGone)
		}()
	}
	return ctx, func() { cancel(nil) }
}

// stopIsNoError drops an error that only says that a stop was asked for.
func stopIsNoError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// plane is what runs. Parts that did not start are nil.
type plane struct {
	etcd        *etcd
	server      *component
	controllers *component
	url         string
}

// start brings up the parts in order. It returns what it started even when a
// later part failed, for the caller to stop.
func start(ctx context.Context, dir *datadir.Dir, config Config) (*plane, error) {
	p := &plane{}
	store, err := pki.OpenStore(dir.Certs(), servedNames, servedAddresses, time.Now)
	if err != nil {
		return p, fmt.Errorf("prepare certificates: %w", err)
	}
	if p.etcd, err = startEtcd(ctx, dir, config.UnsafeNoFsync); err != nil {
		return p, err
	}
	if err := p.startServer(ctx, dir, store, config); err != nil {
		return p, err
	}
	if len(config.Controllers) == 0 {
		return p, nil
	}
	return p, p.startControllers(ctx, dir, store, config.Controllers)
}

func (p *plane) startServer(ctx context.Context, dir *datadir.Dir, store *pki.Store, config Config) error {
	listener, err := dir.Listen(config.Port)
	if err != nil {
		return err
	}
	p.url = "https://" + listener.Addr().String()
	port := listener.Addr().(*net.TCPAddr).Port
	args := apiServerArgs(p.etcd.socket, port, store.Files(), config.Verbosity)
	if p.server, err = startAPIServer(listener, args); err != nil {
		return errors.Join(err, listener.Close())
	}
	if err := writeKubeconfig(dir.Kubeconfig(), p.url, store.Authority(), admin); err != nil {
		return fmt.Errorf("write admin kubeconfig: %w", err)
	}
	return waitReady(ctx, dir.Kubeconfig(), p.server)
}

func (p *plane) startControllers(ctx context.Context, dir *datadir.Dir, store *pki.Store, names []string) (err error) {
	path := filepath.Join(dir.Certs(), "controllers.kubeconfig")
	if err := writeKubeconfig(path, p.url, store.Authority(), controllerManager); err != nil {
		return fmt.Errorf("write controllers' kubeconfig: %w", err)
	}
	p.controllers, err = startControllers(ctx, controllerArgs(path, names, store.Files()))
	return err
}

// ready describes the running plane.
func (p *plane) ready(dir *datadir.Dir, started time.Time) Ready {
	return Ready{
		Version:    version.Get().GitVersion,
		Server:     p.url,
		Kubeconfig: dir.Kubeconfig(),
		PID:        os.Getpid(),
		Startup:    Duration(time.Since(started)),
	}
}

// wait returns when a stop is asked for, or when a part ends by itself.
func (p *plane) wait(ctx context.Context) error {
	var controllers chan struct{}
	if p.controllers != nil {
		controllers = p.controllers.done
	}
	select {
	case <-ctx.Done():
		return nil
	case <-p.server.done:
		return p.server.ended()
	case <-controllers:
		return p.controllers.ended()
	case err := <-p.etcd.server.Err():
		return fmt.Errorf("run etcd: %w", err)
	}
}

// stop ends the parts in the reverse order of their start.
func (p *plane) stop() error {
	var errs []error
	if p.controllers != nil {
		errs = append(errs, p.controllers.stop(controllersGrace))
	}
	if p.server != nil {
		errs = append(errs, p.server.stop(apiServerGrace))
	}
	if p.etcd != nil {
		p.etcd.stop()
	}
	return errors.Join(errs...)
}
