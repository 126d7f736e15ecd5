package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// KubernetesVersion is the version of the control plane that Slipway runs on.
const KubernetesVersion = "v1.36.3"

// Names in the data directory, as slipway-controlplane lays it out.
const (
	lockFile       = "lock"
	kubeconfigFile = "kubeconfig"
	logFile        = "controlplane.log"
)

// defaultStartTimeout leaves room for a slow disk and a busy machine; an idle
// one takes some seconds.
const defaultStartTimeout = 5 * time.Minute

// stopGrace is more than the control plane allows its own parts.
const stopGrace = 40 * time.Second

// ErrInUse is a data directory that another running process serves for itself.
var ErrInUse = errors.New("data directory is in use")

// Options says where a control plane keeps its data and how it is started.
type Options struct {
	// Dir is the data directory; created when it does not exist.
	Dir string
	// Binary is the slipway-controlplane to run. Empty means the environment
	// variable SLIPWAY_CONTROLPLANE, and without that one is looked for and,
	// inside a checkout of Slipway, built.
	Binary string
	// Port is the API server's port on loopback. 0 takes the port of the last
	// start when it is free, and any free one otherwise.
	Port int
	// Ephemeral is for tests: the disk is not waited for, and the data is
	// deleted at the end. Dir must be empty.
	Ephemeral bool
	// Detached lets the control plane run on when this process ends.
	Detached bool
	// Log receives the output of a build. Nil discards it.
	Log io.Writer
	// Progress is told each step, one short line at a time. Nil is allowed.
	Progress func(step string)
	// StartTimeout bounds the time from the start until the API server
	// answers. 0 means five minutes.
	StartTimeout time.Duration
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	dir     string
	config  *rest.Config
	process process
}

// process is what runs a control plane, whoever started it.
type process interface {
	// pid is the process that serves the API.
	pid() int
	// stop ends it and waits until it has ended.
	stop(ctx context.Context) error
	// done is closed when it has ended.
	done() <-chan struct{}
}

// Start finds or builds the control plane and runs it on the data directory,
// or takes over one that runs there detached, and waits until it answers.
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	running, err := adopt(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("take over the control plane in %s: %w", o.Dir, err)
	}
	if running != nil {
		return reach(ctx, o, running)
	}
	found, err := find(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start the control plane in %s: %w", o.Dir, err)
	}
	return run(ctx, o, found)
}

// run starts a program that was found.
func run(ctx context.Context, o Options, found program) (*ControlPlane, error) {
	o.Progress("start " + found.String())
	running, err := found.start(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("start the control plane in %s: %w", o.Dir, err)
	}
	return reach(ctx, o, running)
}

// reach reads how to talk to what runs.
func reach(ctx context.Context, o Options, running process) (*ControlPlane, error) {
	config, err := LoadConfig(o.Dir)
	if err != nil {
		return nil, errors.Join(err, running.stop(ctx))
	}
	return &ControlPlane{dir: o.Dir, config: config, process: running}, nil
}

func (o Options) complete() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("start the control plane: no data directory given")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("resolve data directory %q: %w", o.Dir, err)
	}
	o.Dir = dir
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = defaultStartTimeout
	}
	return o, o.prepareDir()
}

// prepareDir creates the data directory. One that is deleted at the end must
// have been made for this.
func (o Options) prepareDir() error {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	if !o.Ephemeral {
		return nil
	}
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return fmt.Errorf("read data directory: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("use %s for data that is deleted at the end: it holds files; choose an empty directory", o.Dir)
	}
	return nil
}

// Config is how the administrator reaches the API server. Each call returns a
// copy. Requests are not throttled on the client's side: the server has its
// own fairness.
func (c *ControlPlane) Config() *rest.Config { return rest.CopyConfig(c.config) }

// Kubeconfig is the path of the administrator's kubeconfig.
func (c *ControlPlane) Kubeconfig() string { return KubeconfigPath(c.dir) }

// LogFile is the path of the control plane's log.
func (c *ControlPlane) LogFile() string { return filepath.Join(c.dir, logFile) }

// PID is the process that serves the API.
func (c *ControlPlane) PID() int { return c.process.pid() }

// Done is closed when the control plane has ended, by Stop or by itself.
func (c *ControlPlane) Done() <-chan struct{} { return c.process.done() }

// Stop ends the control plane and waits for it. When the context or the grace
// period ends first, it is killed, which loses nothing that was answered.
func (c *ControlPlane) Stop(ctx context.Context) error {
	if err := c.process.stop(ctx); err != nil {
		return fmt.Errorf("stop the control plane in %s: %w", c.dir, err)
	}
	return nil
}

// KubeconfigPath is where the control plane of a data directory keeps the
// administrator's kubeconfig.
func KubeconfigPath(dir string) string { return filepath.Join(dir, kubeconfigFile) }

// LoadConfig reads how to reach the control plane of a data directory. It does
// not find out whether that one runs; [Running] does.
func LoadConfig(dir string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", KubeconfigPath(dir))
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig of %s: %w", dir, err)
	}
	config.QPS = -1
	return config, nil
}
