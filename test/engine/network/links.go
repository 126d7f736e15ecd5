package network

import "fmt"

// Command is the arguments of one call of ip(8).
type Command []string

// Links gives a node its links, address and routes. The first node's uplink is
// a bridge, to which Cable plugs the others.
func (p Plan) Links(name string) ([]Command, error) {
	for i, node := range p.Nodes {
		if node.Name == name {
			return append(p.own(i, node), p.routes(i)...), nil
		}
	}
	return nil, fmt.Errorf("plan links of %q: no such node", name)
}

func (p Plan) own(i int, node Node) []Command {
	commands := []Command{{"link", "set", "lo", "up"}}
	if i == 0 {
		commands = append(commands, Command{"link", "add", uplink, "type", "bridge"})
	}
	return append(
		commands,
		Command{"addr", "add", fmt.Sprintf("%s/%d", node.Address, nodes.Bits()), "dev", uplink},
		Command{"link", "set", uplink, "up"},
		// Nothing answers there. Programs that look for "the" address of a
		// machine take the one of its default route.
		Command{"route", "add", "default", "dev", uplink},
	)
}

// routes lead to the pods of the other nodes.
func (p Plan) routes(own int) []Command {
	var commands []Command
	for i, other := range p.Nodes {
		if i != own {
			commands = append(commands, Command{"route", "add", other.Pods.String(), "via", other.Address.String()})
		}
	}
	return commands
}

// Cable connects a node to the first one. The commands are for the first
// node's network namespace; process is the number, outside, of a process in the
// other one's.
func Cable(name string, process int) []Command {
	port := "port-" + name
	return []Command{
		{"link", "add", port, "type", "veth", "peer", "name", uplink, "netns", fmt.Sprint(process)},
		{"link", "set", port, "master", uplink, "up"},
	}
}
