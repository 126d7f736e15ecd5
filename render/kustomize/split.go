package kustomize

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/api/types"
)

// splitting says when and how a build is cut into parts. kustomize compares each object that it adds with all that it has,
// and does so for each directory and several transformers: a part takes time with the square of its objects.
type splitting struct {
	from int // the number of objects from which it is worth it
	size int // objects of one part
}

var defaultSplitting = splitting{from: 48, size: 24}

// unit is an object of a manifest, as kustomize shall see it.
type unit struct {
	place
	text []byte
}

// folder is a kustomization that was scanned.
type folder struct {
	file string // as kustomize sees it
	k    *types.Kustomization
}

// buildParts builds a large source in parts and puts the results together in the order that one build would give. It
// reports false when that cannot be told from the whole, which is then built as a whole.
func (s *scan) buildParts(root string) ([]*resource.Resource, bool) {
	if len(s.places) < s.split.from || !s.divisible() {
		return nil, false
	}
	order, ok := s.order(root)
	if !ok {
		return nil, false
	}
	var built []*resource.Resource
	for i, members := range s.parts(order) {
		if s.ctx.Err() != nil {
			return nil, false
		}
		part, some := s.part(root, members, i == 0)
		if !some {
			continue
		}
		m, err := runKustomize(part, root)
		if err != nil || part.failure != nil {
			s.partFault = err
			return nil, false // the whole says better what is wrong
		}
		built = append(built, m.Resources()...)
	}
	return inOrder(built, order)
}

// inOrder sorts objects by where they come from.
func inOrder(built []*resource.Resource, order map[string]int) ([]*resource.Resource, bool) {
	ranks := make(map[*resource.Resource]int, len(built))
	for _, r := range built {
		rank, known := order[rankKey(r.GetKind(), r.GetAnnotations()[OriginAnnotation])]
		if !known {
			return nil, false
		}
		ranks[r] = rank
	}
	slices.SortStableFunc(built, func(a, b *resource.Resource) int { return cmp.Compare(ranks[a], ranks[b]) })
	return built, true
}

// divisible reports whether nothing in the source looks at more than one object at a time.
func (s *scan) divisible() bool {
	if s.repeated || s.references || s.mergers {
		return false
	}
	for _, f := range s.folders {
		k := f.k
		if len(k.Replacements)+len(k.Vars)+len(k.Transformers)+len(k.Validators)+len(k.Generators)+len(k.Crds)+len(k.Replicas) > 0 || k.SortOptions != nil { //nolint:staticcheck // sources may still have vars
			return false
		}
	}
	return s.distinct() && s.assignPatches()
}

// distinct reports whether no two objects have one name, under whatever overlays.
func (s *scan) distinct() bool {
	seen := make(map[identity]bool, len(s.places)+len(s.generated))
	positions := make(map[string]bool, len(s.places))
	for _, p := range slices.Concat(s.places, s.generated) {
		key := identity{group: p.group, kind: p.kind, name: p.name}
		if seen[key] || positions[rankKey(p.kind, p.position())] {
			return false
		}
		seen[key], positions[rankKey(p.kind, p.position())] = true, true
	}
	return true
}

func rankKey(kind, position string) string { return kind + " " + position }

// order ranks all objects as one build would: the resources of a kustomization, then what it generates, then its
// components.
func (s *scan) order(root string) (map[string]int, bool) {
	order := make(map[string]int, len(s.places)+len(s.generated))
	s.rank(root, order)
	return order, len(order) == len(s.places)+len(s.generated)
}

func (s *scan) rank(dir string, order map[string]int) {
	f := s.folders[dir]
	if f == nil {
		return
	}
	add := func(p place) { order[rankKey(p.kind, p.position())] = len(order) }
	for _, name := range f.k.Resources {
		if file, isFile := strings.CutPrefix(name, manifestRoot+"/"); isFile {
			for _, u := range s.units[file] {
				add(u.place)
			}
			continue
		}
		s.rank(path.Join(dir, name), order)
	}
	for _, p := range s.generatedIn[dir] {
		add(p)
	}
	for _, name := range f.k.Components {
		s.rank(path.Join(dir, name), order)
	}
}

// leaves are native kinds that name no other object.
var leaves = map[string]bool{"Secret": true, "ConfigMap": true}

// parts groups objects by their rank. The first part has what kustomize's own name references may connect: native objects,
// and all that is generated.
func (s *scan) parts(order map[string]int) []map[string]bool {
	places := slices.Clone(s.places)
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Compare(order[rankKey(a.kind, a.position())], order[rankKey(b.kind, b.position())])
	})
	connected := slices.ContainsFunc(places, func(p place) bool { return p.group != virtualization && (p.group != "" || !leaves[p.kind]) })
	parts := []map[string]bool{{}}
	current := map[string]bool{}
	for _, p := range places {
		if p.group != virtualization && connected {
			parts[0][p.position()] = true
			continue
		}
		current[p.position()] = true
		if len(current) == s.split.size {
			parts, current = append(parts, current), map[string]bool{}
		}
	}
	return append(parts, current)
}

// part is a jail in which the source has only some of its objects. It reports false when there is nothing in it.
func (s *scan) part(root string, members map[string]bool, generate bool) (*jail, bool) {
	j := &jail{tree: s.jail.tree, extra: maps.Clone(s.jail.extra), dirs: s.jail.dirs, sizes: s.jail.sizes, total: s.jail.total, most: s.jail.most}
	p := &partial{scan: s, jail: j, members: members, generate: generate}
	return j, p.folder(root)
}

// partial writes the kustomizations of a part.
type partial struct {
	*scan
	jail     *jail
	members  map[string]bool
	generate bool
}

// folder writes one kustomization and those below it, and reports whether it has any object.
func (p *partial) folder(dir string) bool {
	f := p.folders[dir]
	if f == nil {
		return false
	}
	k := *f.k
	k.Resources = slices.DeleteFunc(slices.Clone(k.Resources), func(name string) bool { return !p.resource(dir, name) })
	k.Components = slices.DeleteFunc(slices.Clone(k.Components), func(name string) bool { return !p.component(dir, name) })
	if !p.generate {
		k.ConfigMapGenerator, k.SecretGenerator = nil, nil
	}
	k.Patches = slices.DeleteFunc(slices.Clone(k.Patches), func(one types.Patch) bool {
		target, named := p.patched[patchKey(one)]
		return named && !p.members[target]
	})
	if len(k.Resources)+len(k.Components)+len(k.ConfigMapGenerator)+len(k.SecretGenerator) == 0 {
		return false
	}
	text, err := kustomizationText(&k)
	if err != nil {
		return false
	}
	p.jail.extra[f.file] = text
	return true
}

func (p *partial) resource(dir, name string) bool {
	file, isFile := strings.CutPrefix(name, manifestRoot+"/")
	if !isFile {
		return p.folder(path.Join(dir, name))
	}
	var text []byte
	for _, u := range p.units[file] {
		if p.members[u.position()] {
			text = append(text, u.text...)
		}
	}
	p.jail.extra[name] = text
	return len(text) > 0
}

// component keeps a component that has no objects of its own: it may change those of others.
func (p *partial) component(dir, name string) bool {
	full := path.Join(dir, name)
	if p.folder(full) {
		return true
	}
	f := p.folders[full]
	if f == nil {
		return false
	}
	k := *f.k
	k.Resources, k.Components, k.ConfigMapGenerator, k.SecretGenerator = nil, nil, nil, nil
	text, err := kustomizationText(&k)
	if err != nil {
		return false
	}
	p.jail.extra[f.file] = text
	return len(k.Patches)+len(k.Images)+len(k.Labels)+len(k.CommonLabels)+len(k.CommonAnnotations)+len(k.NamePrefix)+len(k.NameSuffix)+len(k.Namespace) > 0 //nolint:staticcheck // sources may still have commonLabels
}

func patchKey(p types.Patch) string { return p.Path + "\n" + p.Patch }

// assignPatches finds the objects of patches that name theirs. kustomize wants each of them to find its object, so that it
// goes into one part only.
func (s *scan) assignPatches() bool {
	s.patched = map[string]string{}
	for _, f := range s.folders {
		for _, p := range f.k.Patches {
			if p.Target != nil {
				continue
			}
			position, ok := s.patchedBy(p, path.Dir(f.file))
			if !ok {
				return false
			}
			s.patched[patchKey(p)] = position
		}
	}
	return true
}

func (s *scan) patchedBy(p types.Patch, dir string) (position string, ok bool) {
	text := []byte(p.Patch)
	if p.Path != "" {
		var err error
		file := p.Path
		if !path.IsAbs(file) {
			file = path.Join(dir, file)
		}
		if text, err = s.jail.ReadFile(file); err != nil {
			return "", false
		}
	}
	documents, err := parse(p.Path, text)
	if err != nil || len(documents) != 1 {
		return "", false
	}
	patch, err := documents[0].object()
	if err != nil {
		return "", false
	}
	var found []place
	for _, candidate := range s.places {
		if candidate.group == patch.group && candidate.kind == patch.kind && strings.Contains(patch.name, candidate.name) {
			found = append(found, candidate)
		}
	}
	if len(found) != 1 {
		return "", false
	}
	return found[0].position(), true
}
