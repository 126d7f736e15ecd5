package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"

	"slipway.dev/slipway/local/node/accel"
	"slipway.dev/slipway/local/node/claim"
	"slipway.dev/slipway/local/node/datavolume"
	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/machine"
	"slipway.dev/slipway/local/node/snapshot"
	"slipway.dev/slipway/local/node/volume"
)

// Options say where a node lives. Dir is required, the rest has defaults.
type Options struct {
	// Dir keeps images, volumes and instances.
	Dir string
	// Name is the Node's name; default: the host's.
	Name string
	// Registry brings disk images; default: volume.DVCR.
	Registry volume.Registry
	// Credentials open the registry at their host where an object names no secret.
	Credentials instance.Credentials
	// Clock is the time; default: the real one.
	Clock clock.WithTicker
	// Log is told what a person who looks for a fault wants to know; default: nothing.
	Log *slog.Logger
	// Grace is how long Shutdown waits for guests; default: 30 seconds.
	Grace time.Duration
}

// Node is the machine that this process runs on, as a node of the cluster.
type Node struct {
	options     Options
	accelerator accel.Verdict
	object      *corev1.Node
	bases       *volume.Bases
	volumes     *volume.Store
	snapshots   *volume.Snapshots
	runtime     *instance.Runtime
	claimJobs   *job.Runner
	copyJobs    *job.Runner
	diskJobs    *job.Runner
	instances   *instance.Reconciler
}

const defaultGrace = 30 * time.Second

// New opens the node's directory. Guests that an earlier process has left running are taken over at once.
func New(ctx context.Context, o Options) (*Node, error) {
	if err := Preflight(); err != nil {
		return nil, err
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open node: %w", err)
	}
	n := &Node{options: o, object: nodeObject(o.Name)}
	n.accelerator = accel.Detect(ctx, filepath.Join(o.Dir, "accelerator.json"))
	if err := n.open(); err != nil {
		return nil, fmt.Errorf("open node %s: %w", o.Dir, err)
	}
	n.claimJobs, n.copyJobs, n.diskJobs = job.NewRunner(o.Clock), job.NewRunner(o.Clock), job.NewRunner(o.Clock)
	return n, nil
}

func (n *Node) open() error {
	var err error
	if n.bases, err = volume.OpenBases(filepath.Join(n.options.Dir, "images"), n.options.Registry); err != nil {
		return err
	}
	if n.volumes, err = volume.Open(filepath.Join(n.options.Dir, "volumes"), n.bases, n.options.Clock.Now); err != nil {
		return err
	}
	if n.snapshots, err = volume.OpenSnapshots(filepath.Join(n.options.Dir, "snapshots"), n.bases, n.options.Clock.Now); err != nil {
		return err
	}
	n.runtime, err = instance.OpenRuntime(filepath.Join(n.options.Dir, "instances"), n.options.Clock, n.options.Log)
	return err
}

func (o *Options) complete() error {
	if o.Dir == "" {
		return errors.New("open node: no directory is given")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return fmt.Errorf("open node: %w", err)
	}
	o.Dir = dir
	if o.Name == "" {
		o.Name = hostName()
	}
	if o.Registry == nil {
		o.Registry = volume.DVCR{}
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	return nil
}

// Accelerator is what guests run on, and why.
func (n *Node) Accelerator() accel.Verdict { return n.accelerator }

// SetupWithManager adds the node's controllers, its Node and its StorageClass to a manager whose scheme has the kinds of
// core, storage, KubeVirt, CDI and VolumeSnapshots.
func (n *Node) SetupWithManager(mgr ctrl.Manager) error {
	c, reader, clk := mgr.GetClient(), mgr.GetAPIReader(), n.options.Clock
	recorder := mgr.GetEventRecorder("slipway-node")
	n.instances = instance.NewReconciler(instance.Deps{
		Client: c, Reader: reader, Runtime: n.runtime, Volumes: n.volumes, Bases: n.bases, Clock: clk, Recorder: recorder,
		Accelerator: n.accelerator, Node: n.object, Default: n.options.Credentials,
	}, n.diskJobs)
	claims := claim.NewReconciler(claim.Deps{
		Client: c, Reader: reader, Volumes: n.volumes, Snapshots: n.snapshots, Disks: n.runtime, Collect: n.collect, Clock: clk,
		Recorder: recorder, Node: n.options.Name, Default: n.options.Credentials,
	}, n.claimJobs)
	snapshots := snapshot.NewReconciler(snapshot.Deps{
		Client: c, Reader: reader, Volumes: n.volumes, Snapshots: n.snapshots, Guests: n.runtime, Collect: n.collect, Clock: clk,
		Recorder: recorder,
	}, n.copyJobs)
	machines := machine.NewReconciler(machine.Deps{Client: c, Clock: clk, Recorder: recorder, Forget: n.forget})
	volumes := datavolume.NewReconciler(datavolume.Deps{Client: c, Clock: clk})
	for _, setup := range []func(ctrl.Manager) error{
		n.instances.SetupWithManager, claims.SetupWithManager, snapshots.SetupWithManager, machines.SetupWithManager,
		volumes.SetupWithManager,
	} {
		if err := setup(mgr); err != nil {
			return err
		}
	}
	if err := n.collect(); err != nil { // what was let go of while nobody looked
		return fmt.Errorf("set up node: %w", err)
	}
	if err := mgr.Add(registration{client: c, reader: reader, node: n.object}); err != nil {
		return fmt.Errorf("set up node: %w", err)
	}
	return nil
}

// forget lets go of what was kept for a machine: its port, and images that only its instances used. They stay until then,
// since its next start needs them again.
func (n *Node) forget(machine string) error {
	return errors.Join(n.runtime.ForgetPort(machine), n.collect())
}

// Freeze has the file systems of a running instance's guest frozen until Thaw or, if that does not come, for the timeout.
func (n *Node) Freeze(ctx context.Context, instance types.NamespacedName, timeout time.Duration) error {
	return n.runtime.Freeze(ctx, instance, timeout)
}

// Thaw undoes Freeze. An instance that is not frozen, or does not run, needs nothing.
func (n *Node) Thaw(ctx context.Context, instance types.NamespacedName) error {
	return n.runtime.Thaw(ctx, instance)
}

// collect removes base images that neither a volume, a snapshot nor an instance needs.
func (n *Node) collect() error {
	return n.bases.Collect(func() (map[string]bool, error) {
		used, err := n.volumes.UsedBases()
		if err != nil {
			return nil, err
		}
		copied, err := n.snapshots.UsedBases()
		if err != nil {
			return nil, err
		}
		maps.Copy(used, copied)
		maps.Copy(used, n.instances.UsedBases())
		return used, nil
	})
}

// Shutdown stops all guests by their power button, and by force those that outlast the grace or the context. What is
// desired of them does not change: the next node on this directory starts them again.
func (n *Node) Shutdown(ctx context.Context) error {
	err := n.runtime.Shutdown(ctx, n.options.Grace)
	n.closeJobs()
	if err != nil {
		return fmt.Errorf("shut node down: %w", err)
	}
	return nil
}

// Detach stops watching and leaves all guests running, as a killed process would.
func (n *Node) Detach() {
	n.runtime.Close()
	n.closeJobs()
}

func (n *Node) closeJobs() {
	for _, jobs := range []*job.Runner{n.claimJobs, n.copyJobs, n.diskJobs} {
		jobs.Close()
	}
}
