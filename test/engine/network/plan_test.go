package network

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAddressesOfNodes(t *testing.T) {
	cases := map[string]struct {
		nodes int
		want  []string
	}{
		"one": {1, []string{"node1 10.88.0.1 10.89.1.0/24 10.89.1.1"}},
		"three": {3, []string{
			"node1 10.88.0.1 10.89.1.0/24 10.89.1.1",
			"node2 10.88.0.2 10.89.2.0/24 10.89.2.1",
			"node3 10.88.0.3 10.89.3.0/24 10.89.3.1",
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			plan, err := New(tc.nodes)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, n := range plan.Nodes {
				got = append(got, strings.Join([]string{n.Name, n.Address.String(), n.Pods.String(), n.Gateway.String()}, " "))
				if !plan.Pods.Contains(n.Gateway) || plan.Services.Contains(n.Gateway) {
					t.Errorf("%s is outside the range of pods", n.Gateway)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if plan.API.String() != "10.96.0.1" || plan.DNS.String() != "10.96.0.10" || plan.Server() != "https://10.88.0.1:6443" {
				t.Errorf("API %s, DNS %s, server %s", plan.API, plan.DNS, plan.Server())
			}
		})
	}
}

func TestPlanRefusesOtherNumbers(t *testing.T) {
	for _, n := range []int{-1, 0, MostNodes + 1} {
		if _, err := New(n); err == nil {
			t.Errorf("%d nodes were planned", n)
		}
	}
}

func TestLinks(t *testing.T) {
	cases := map[string]struct {
		node string
		want []string
	}{
		"the first has the bridge": {"node1", []string{
			"link set lo up", "link add eth0 type bridge", "addr add 10.88.0.1/24 dev eth0", "link set eth0 up",
			"route add default dev eth0", "route add 10.89.2.0/24 via 10.88.0.2",
		}},
		"the second has a cable": {"node2", []string{
			"link set lo up", "addr add 10.88.0.2/24 dev eth0", "link set eth0 up",
			"route add default dev eth0", "route add 10.89.1.0/24 via 10.88.0.1",
		}},
	}
	plan, err := New(2)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			commands, err := plan.Links(tc.node)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, c := range commands {
				got = append(got, strings.Join(c, " "))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := plan.Links("node3"); err == nil {
		t.Error("a node that is not planned got links")
	}
}
