package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"

	"k8s.io/client-go/rest"

	"slipway.dev/slipway/test/engine/cgroup"
	"slipway.dev/slipway/test/engine/install"
	"slipway.dev/slipway/test/engine/network"
	"slipway.dev/slipway/test/engine/node"
)

// ErrUp is an engine that is running already.
var ErrUp = errors.New("the engine is up already")

// Options say what to bring up.
type Options struct {
	// Nodes is their number.
	Nodes int
	// Port of the API server on the host's loopback; 0 takes a free one.
	Port int
	// Executable is the program that has the hidden commands of package node.
	Executable string
	// Binaries are the paths of the programs that nodes run.
	Binaries map[string]string
	// Images are the archives that every node gets.
	Images []string
	// Components to install once pods can run.
	Components []install.Component
	// KeepFailed leaves a run that fails as it is, to be looked at.
	KeepFailed bool
	// Report is told of each step that begins.
	Report func(step string)
}

// Up brings up nodes and a control plane that answers, and waits until pods can
// run and find each other. What a crash left of an earlier run is cleared first.
// A run that fails is stopped; its logs stay for reading.
func Up(ctx context.Context, l Layout, o Options) error {
	if err := os.MkdirAll(l.Dir, 0o755); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	release, err := l.take()
	if err != nil {
		return err
	}
	defer release()
	if err := l.clear(ctx, o.Report); err != nil {
		return err
	}
	plan, err := network.New(o.Nodes)
	if err != nil {
		return fmt.Errorf("plan the network: %w", err)
	}
	r := &run{layout: l, options: o, plan: plan}
	if err := r.up(ctx); err != nil {
		if len(r.nodes) > 0 {
			err = fmt.Errorf("%w (logs are below %s)", err, l.Nodes())
		}
		if o.KeepFailed {
			return err
		}
		// The caller's context may be what ended the run.
		stopped := l.stop(context.WithoutCancel(ctx))
		return errors.Join(err, stopped)
	}
	return nil
}

// clear makes way for a new run.
func (l Layout) clear(ctx context.Context, report func(string)) error {
	if state, err := l.ReadState(); err == nil {
		if _, err := l.Process(state.Nodes[0]); err == nil {
			return fmt.Errorf("%w in %s: run engine down first", ErrUp, l.Dir)
		}
	}
	group, err := l.group()
	if err != nil {
		return err
	}
	left, err := l.observe(group)
	if err != nil || left.none() {
		return err
	}
	report("clear what an earlier run left")
	_, err = l.clean(ctx)
	return err
}

// run is one Up under way.
type run struct {
	layout  Layout
	options Options
	plan    network.Plan
	// nodes that were launched, in the plan's order.
	nodes []*node.Process
}

func (r *run) up(ctx context.Context) error {
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"nodes in namespaces of their own", r.launch},
		{"control plane", r.awaitServer},
		{"images", r.load},
		{"names of services", r.installDNS},
		{"nodes ready", r.awaitNodes},
		{"cluster DNS ready", r.awaitDNS},
	} {
		r.options.Report(step.name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("bring up %s: %w", step.name, err)
		}
	}
	names := make([]string, 0, len(r.plan.Nodes))
	for _, n := range r.plan.Nodes {
		names = append(names, n.Name)
	}
	config, err := r.layout.RESTConfig()
	if err != nil {
		return err
	}
	installed, err := r.install(ctx, config)
	if err != nil {
		return err
	}
	return r.layout.writeState(State{Nodes: names, Server: config.Host, Components: installed})
}

// install puts the components on the cluster, one after the other.
func (r *run) install(ctx context.Context, config *rest.Config) ([]string, error) {
	var names []string
	for _, component := range r.options.Components {
		err := component.Install(ctx, install.Target{
			Config: config, Dir: r.layout.Manifests(), Binaries: r.options.Binaries, Report: r.options.Report,
		})
		if err != nil {
			return nil, fmt.Errorf("install %s: %w", component.Name, err)
		}
		names = append(names, component.Name)
	}
	return names, nil
}

func (r *run) launch(ctx context.Context) error {
	hierarchies, err := cgroup.Hierarchies()
	if err != nil {
		return fmt.Errorf("find control groups: %w", err)
	}
	listeners, closeAll, err := r.listen()
	if err != nil {
		return err
	}
	defer closeAll()
	if err := r.writeNodes(hierarchies); err != nil {
		return err
	}
	group := cgroup.New(hierarchies, r.layout.Group())
	for i, n := range r.plan.Nodes {
		ways := node.Listeners{}
		if i == 0 {
			ways = listeners
		}
		if err := r.launchOne(ctx, n, group.Child(n.Name), ways); err != nil {
			return fmt.Errorf("start %s: %w", n.Name, err)
		}
	}
	return nil
}

// writeNodes makes the roots and specs of all nodes.
func (r *run) writeNodes(hierarchies []cgroup.Hierarchy) error {
	authority, err := r.layout.identities(r.plan)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(r.layout.Volumes(), 0o755); err != nil {
		return fmt.Errorf("make the directory of volumes: %w", err)
	}
	for _, n := range r.plan.Nodes {
		if err := r.layout.makeRoot(r.plan, n); err != nil {
			return err
		}
		if err := r.layout.enroll(r.plan, n, authority); err != nil {
			return err
		}
		spec, err := r.layout.spec(r.plan, n, hierarchies, r.options.Binaries)
		if err != nil {
			return err
		}
		if err := spec.Write(); err != nil {
			return err
		}
	}
	outside := fmt.Sprintf("https://127.0.0.1:%d", r.options.Port)
	return writeKubeconfig(r.layout.Kubeconfig(), outside, authority, clients("")["admin"])
}

// listen opens the host's ways in. The nodes inherit them, so that they close
// when the nodes end.
func (r *run) listen() (node.Listeners, func(), error) {
	api, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(r.options.Port)))
	if err != nil {
		return node.Listeners{}, nil, fmt.Errorf("listen for the API server's clients: %w: choose another --port, or 0 for a free one", err)
	}
	defer api.Close()
	inside, err := net.ListenUnix("unix", &net.UnixAddr{Name: r.layout.Socket(), Net: "unix"})
	if err != nil {
		return node.Listeners{}, nil, fmt.Errorf("open the way in: %w: choose a shorter --data-dir if the path is too long", err)
	}
	defer inside.Close() //nolint:errcheck // the nodes have a copy
	// The socket's file goes with the data directory.
	inside.SetUnlinkOnClose(false)
	apiFile, err := api.(*net.TCPListener).File()
	if err != nil {
		return node.Listeners{}, nil, fmt.Errorf("hand over the API server's port: %w", err)
	}
	insideFile, err := inside.File()
	if err != nil {
		apiFile.Close()
		return node.Listeners{}, nil, fmt.Errorf("hand over the way in: %w", err)
	}
	r.options.Port = api.Addr().(*net.TCPAddr).Port
	closeAll := func() { apiFile.Close(); insideFile.Close() }
	if err := os.Chmod(r.layout.Socket(), 0o600); err != nil {
		closeAll()
		return node.Listeners{}, nil, fmt.Errorf("keep the way in for root: %w", err)
	}
	return node.Listeners{API: apiFile, Tunnel: insideFile}, closeAll, nil
}

func (r *run) launchOne(ctx context.Context, n network.Node, group cgroup.Group, ways node.Listeners) error {
	spec, err := node.Read(r.layout.Root(n.Name) + node.SpecFile)
	if err != nil {
		return err
	}
	if err := group.Create(); err != nil {
		return err
	}
	process, err := node.Launch(r.options.Executable, spec, ways)
	if err != nil {
		return err
	}
	if err := group.Add(process.PID); err != nil {
		return errors.Join(err, process.End())
	}
	if err := write(r.layout.pidFile(n.Name), []byte(strconv.Itoa(process.PID)), 0o644); err != nil {
		return err
	}
	r.nodes = append(r.nodes, process)
	if len(r.nodes) > 1 {
		if err := r.cable(ctx, n.Name, process.PID); err != nil {
			return err
		}
	}
	if err := process.Go(ctx); err != nil {
		return err
	}
	return process.Release()
}

// cable plugs a node into the first one's bridge.
func (r *run) cable(ctx context.Context, name string, process int) error {
	for _, command := range network.Cable(name, process) {
		args := append([]string{"--target", strconv.Itoa(r.nodes[0].PID), "--net", "--", "ip"}, command...)
		if output, err := exec.CommandContext(ctx, "nsenter", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("connect %s to the first node: ip %v: %w: %s", name, command, err, output)
		}
	}
	return nil
}
