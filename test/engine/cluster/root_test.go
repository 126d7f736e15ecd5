package cluster

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/test/engine/cgroup"
	"slipway.dev/slipway/test/engine/network"
)

func twoNodes(t *testing.T) network.Plan {
	t.Helper()
	plan, err := network.New(2)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// Configuration is filled in for each node, and stays what its program can read.
func TestFilesAreFilledIn(t *testing.T) {
	plan := twoNodes(t)
	cases := map[string]struct {
		yaml bool
		want []string
	}{
		"hosts":           {want: []string{"10.88.0.1 node1\n10.88.0.2 node2\n"}},
		"resolv.conf":     {want: []string{"nameserver 10.96.0.10\n", "cluster.local"}},
		"cni.conflist":    {yaml: true, want: []string{`"subnet": "10.89.2.0/24"`}},
		"kubelet.yaml":    {yaml: true, want: []string{`clusterDNS: ["10.96.0.10"]`}},
		"proxy.yaml":      {yaml: true, want: []string{"hostnameOverride: node2", "clusterCIDR: 10.89.0.0/16"}},
		"containerd.toml": {want: []string{"localhost/pause:engine"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text, err := fill(name, view{Plan: plan, Node: plan.Nodes[1], Domain: network.Domain})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tc.want {
				if !strings.Contains(string(text), want) {
					t.Errorf("%q is missing in:\n%s", want, text)
				}
			}
			if tc.yaml {
				if err := yaml.UnmarshalStrict(text, &map[string]any{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestNameServersObjects(t *testing.T) {
	text, err := fill("coredns.yaml", view{Plan: twoNodes(t), Domain: network.Domain})
	if err != nil {
		t.Fatal(err)
	}
	objects, err := decode(string(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, object := range objects {
		got = append(got, object.GetKind()+" "+object.GetName())
	}
	want := []string{
		"ServiceAccount coredns", "ClusterRole engine-coredns", "ClusterRoleBinding engine-coredns", "ConfigMap coredns",
		"Service kube-dns", "Deployment coredns",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyTheFirstNodeRunsTheControlPlane(t *testing.T) {
	plan := twoNodes(t)
	binaries := map[string]string{}
	for _, name := range append(ControlPlane, Workers...) {
		binaries[name] = "/cache/" + name
	}
	cases := map[string]struct {
		node     int
		services []string
		api      string
	}{
		"first": {0, []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "containerd", "kubelet", "kube-proxy"}, "10.88.0.1:6443"},
		"other": {1, []string{"containerd", "kubelet", "kube-proxy"}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			spec, err := Layout{Dir: "/d"}.spec(plan, plan.Nodes[tc.node], []cgroup.Hierarchy{{Mount: cgroup.Root, V2: true}}, binaries)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range spec.Services {
				got = append(got, s.Name)
			}
			if diff := cmp.Diff(tc.services, got); diff != "" {
				t.Error(diff)
			}
			if spec.API != tc.api {
				t.Errorf("leads to %q, want %q", spec.API, tc.api)
			}
			for _, b := range spec.Binds {
				if b.Writable && !strings.HasPrefix(b.Source, "/d/") {
					t.Errorf("the node may write to the host's %s", b.Source)
				}
			}
		})
	}
	if _, err := (Layout{Dir: "/d"}).spec(plan, plan.Nodes[0], nil, map[string]string{}); err == nil {
		t.Error("a node without programs was put together")
	}
}
