package substitute

import "github.com/fluxcd/pkg/envsubst/parse"

const (
	maxResult  = 64 << 20 // bytes that one text may come to while it is put together
	maxTrimmed = 16 << 10 // bytes of a value from which a pattern is taken off: that takes time with the square of them
)

// bounded reports whether a parsed text stays within limits whatever it does with the values of its variables.
func bounded(n parse.Node, lookup func(string) (string, bool)) bool {
	size, ok := bound(n, lookup)
	return ok && size <= maxResult
}

// bound is the most that a node can come to, in bytes.
func bound(n parse.Node, lookup func(string) (string, bool)) (size int, ok bool) {
	switch n := n.(type) {
	case *parse.TextNode:
		return len(n.Value), true
	case *parse.ListNode:
		sizes, ok := bounds(n.Nodes, lookup)
		return sum(sizes), ok
	case *parse.FuncNode:
		sizes, ok := bounds(n.Args, lookup)
		if !ok {
			return 0, false
		}
		value, _ := lookup(n.Param)
		return boundCall(n.Name, len(value), sizes)
	}
	return 0, true
}

func bounds(nodes []parse.Node, lookup func(string) (string, bool)) ([]int, bool) {
	sizes := make([]int, len(nodes))
	for i, n := range nodes {
		size, ok := bound(n, lookup)
		if !ok || size > maxResult {
			return nil, false
		}
		sizes[i] = size
	}
	return sizes, true
}

// boundCall is the most that a function can make of a value and arguments.
func boundCall(name string, value int, args []int) (size int, ok bool) {
	switch name {
	case "#", "##", "%", "%%":
		return value + 20, len(args) == 0 || value <= maxTrimmed && sum(args) <= maxTrimmed
	case "//":
		return (value + 1) * (sum(args) + 1), true
	case "^", "^^", ",", ",,":
		return 3 * value, true
	}
	return value + sum(args), true
}

func sum(sizes []int) int {
	total := 0
	for _, size := range sizes {
		total += size
	}
	return total
}
