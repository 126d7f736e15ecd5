package cluster

import (
	"fmt"
	"net/netip"
	"slices"

	"slipway.dev/slipway/test/engine/cgroup"
	"slipway.dev/slipway/test/engine/network"
	"slipway.dev/slipway/test/engine/node"
)

// binDir is where a node finds the engine's own binaries.
const binDir = "/opt/engine/bin"

// Programs that a node needs of the build, by name.
var (
	ControlPlane = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
	Workers      = []string{"kubelet", "kube-proxy", "kubectl"}
)

// settings are what kubelet wants of the kernel. It finds them so, and the host
// keeps its own.
var settings = map[string]string{
	"vm/overcommit_memory": "1",
	"vm/panic_on_oom":      "0",
	"kernel/panic":         "10",
	"kernel/panic_on_oops": "1",
}

// spec puts a node together.
func (l Layout) spec(plan network.Plan, n network.Node, hierarchies []cgroup.Hierarchy, binaries map[string]string) (node.Spec, error) {
	first := n.Name == plan.Nodes[0].Name
	binds, err := programs(first, binaries)
	if err != nil {
		return node.Spec{}, err
	}
	addresses, err := plan.Links(n.Name)
	if err != nil {
		return node.Spec{}, fmt.Errorf("plan the network of %s: %w", n.Name, err)
	}
	s := node.Spec{
		Name: n.Name, Root: l.Root(n.Name), Binds: append(l.shown(), binds...), Settings: settings,
		Hierarchies: hierarchies, Links: addresses, Services: worker(n),
	}
	if first {
		s.Services = append(controlPlane(plan), s.Services...)
		s.API = netip.AddrPortFrom(n.Address, network.APIPort).String()
	}
	return s, nil
}

// shown is what a node sees of the host: its programs, and the common volumes.
func (l Layout) shown() []node.Bind {
	return []node.Bind{
		{Source: l.Volumes(), Target: VolumesDir, Writable: true},
		{Source: "/usr", Target: "/usr"},
		{Source: "/etc/alternatives", Target: "/etc/alternatives"},
		{Source: "/etc/ssl", Target: "/etc/ssl"},
	}
}

func programs(first bool, binaries map[string]string) ([]node.Bind, error) {
	names := slices.Clone(Workers)
	if first {
		names = append(names, ControlPlane...)
	}
	binds := make([]node.Bind, 0, len(names))
	for _, name := range names {
		path, ok := binaries[name]
		if !ok {
			return nil, fmt.Errorf("put a node together: %s was not built", name)
		}
		binds = append(binds, node.Bind{Source: path, Target: binDir + "/" + name})
	}
	return binds, nil
}

func controlPlane(plan network.Plan) []node.Service {
	return []node.Service{
		{Name: "etcd", Args: []string{
			binDir + "/etcd", "--data-dir=/var/lib/etcd", "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380",
		}},
		{Name: "kube-apiserver", Args: apiServer(plan)},
		{Name: "kube-controller-manager", Args: []string{
			binDir + "/kube-controller-manager", "--kubeconfig=" + configDir + "/controller-manager.kubeconfig", "--leader-elect=false",
			"--service-account-private-key-file=" + pkiDir + "/service-account.key", "--root-ca-file=" + pkiDir + "/ca.crt",
			"--cluster-signing-cert-file=" + pkiDir + "/ca.crt", "--cluster-signing-key-file=" + pkiDir + "/ca.key",
			"--use-service-account-credentials=true", "--allocate-node-cidrs=false", "--bind-address=127.0.0.1",
		}},
		{Name: "kube-scheduler", Args: []string{
			binDir + "/kube-scheduler", "--kubeconfig=" + configDir + "/scheduler.kubeconfig", "--leader-elect=false", "--bind-address=127.0.0.1",
		}},
	}
}

func apiServer(plan network.Plan) []string {
	return []string{
		binDir + "/kube-apiserver", "--etcd-servers=http://127.0.0.1:2379",
		"--bind-address=0.0.0.0", fmt.Sprint("--secure-port=", network.APIPort), "--advertise-address=" + plan.Nodes[0].Address.String(),
		"--tls-cert-file=" + pkiDir + "/apiserver.crt", "--tls-private-key-file=" + pkiDir + "/apiserver.key",
		"--client-ca-file=" + pkiDir + "/ca.crt", "--authorization-mode=Node,RBAC", "--allow-privileged=true",
		"--service-cluster-ip-range=" + plan.Services.String(), "--service-account-issuer=https://kubernetes.default.svc." + network.Domain,
		"--service-account-key-file=" + pkiDir + "/service-account.key", "--service-account-signing-key-file=" + pkiDir + "/service-account.key",
		"--kubelet-client-certificate=" + pkiDir + "/kubelet-client.crt", "--kubelet-client-key=" + pkiDir + "/kubelet-client.key",
		"--kubelet-certificate-authority=" + pkiDir + "/ca.crt", "--kubelet-preferred-address-types=InternalIP",
		"--requestheader-client-ca-file=" + pkiDir + "/front-proxy-ca.crt", "--requestheader-allowed-names=front-proxy",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-username-headers=X-Remote-User",
		"--proxy-client-cert-file=" + pkiDir + "/front-proxy.crt", "--proxy-client-key-file=" + pkiDir + "/front-proxy.key",
		"--enable-aggregator-routing=true", "--profiling=false",
	}
}

func worker(n network.Node) []node.Service {
	return []node.Service{
		{Name: "containerd", Args: []string{"/usr/bin/containerd", "--config=/etc/containerd/config.toml"}},
		{Name: "kubelet", Args: []string{
			binDir + "/kubelet", "--config=" + configDir + "/kubelet.yaml", "--kubeconfig=" + configDir + "/kubelet.kubeconfig",
			"--hostname-override=" + n.Name, "--node-ip=" + n.Address.String(),
		}},
		{Name: "kube-proxy", Args: []string{binDir + "/kube-proxy", "--config=" + configDir + "/proxy.yaml"}},
	}
}
