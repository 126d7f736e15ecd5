package gc

import "github.com/opencontainers/go-digest"

// graph is what leads to what among the manifests of one repository.
type graph struct {
	byDigest map[digest.Digest]Manifest
	about    map[digest.Digest][]digest.Digest // manifests whose subject it is
	kept     map[digest.Digest]bool
	order    []Manifest
}

func newGraph(manifests []Manifest) *graph {
	g := &graph{
		byDigest: map[digest.Digest]Manifest{},
		about:    map[digest.Digest][]digest.Digest{},
		kept:     map[digest.Digest]bool{},
		order:    manifests,
	}
	for _, m := range manifests {
		g.byDigest[m.Digest] = m
		if m.Subject != "" {
			g.about[m.Subject] = append(g.about[m.Subject], m.Digest)
		}
	}
	return g
}

// keep marks a manifest, what it needs, and what speaks about it.
func (g *graph) keep(d digest.Digest) {
	if g.kept[d] {
		return
	}
	g.kept[d] = true
	for _, below := range g.byDigest[d].Needs {
		if _, ok := g.byDigest[below]; ok {
			g.keep(below)
		}
	}
	for _, about := range g.about[d] {
		g.keep(about)
	}
}

// topDown returns each manifest behind all that need it.
func (g *graph) topDown() []Manifest {
	var bottomUp []Manifest
	seen := map[digest.Digest]bool{}
	var visit func(m Manifest)
	visit = func(m Manifest) {
		if seen[m.Digest] {
			return
		}
		seen[m.Digest] = true
		for _, below := range m.Needs {
			if n, ok := g.byDigest[below]; ok {
				visit(n)
			}
		}
		bottomUp = append(bottomUp, m)
	}
	for _, m := range g.order {
		visit(m)
	}
	for i, j := 0, len(bottomUp)-1; i < j; i, j = i+1, j-1 {
		bottomUp[i], bottomUp[j] = bottomUp[j], bottomUp[i]
	}
	return bottomUp
}
