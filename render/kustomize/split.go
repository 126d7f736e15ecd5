package kustomize

import (
	"cmp"
	"errors"
	"maps"
	"path"
	"reflect"
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

var defaultSplitting = splitting{from: 72, size: 24}

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

// resources are what kustomize reads for a directory: the manifests of a kustomization that does nothing but list them,
// which saves a build of its own and gives the same, and otherwise the directory itself.
func (f *folder) resources(name string) []string {
	if f.onlyLists() {
		return f.k.Resources
	}
	return []string{name}
}

func (f *folder) onlyLists() bool {
	rest := *f.k
	rest.Kind, rest.APIVersion, rest.MetaData, rest.Resources = "", "", nil, nil
	directory := func(name string) bool { return !strings.HasPrefix(name, manifestRoot+"/") }
	return f.k.Kind == types.KustomizationKind && len(f.k.Resources) > 0 && !slices.ContainsFunc(f.k.Resources, directory) && reflect.ValueOf(rest).IsZero()
}

// errWhole says that a source is built as a whole.
var errWhole = errors.New("not built in parts")

// buildParts builds a large source in parts and puts the results together in the order that one build would give, which is
// that of all places.
func (s *scan) buildParts(root string, order []place) ([]built, error) {
	if len(s.places) < s.split.from || len(order) != len(s.places)+len(s.generated) || !s.divisible() {
		return nil, errWhole
	}
	var all []built
	for i, members := range s.parts(order) {
		if len(members) == 0 {
			continue
		}
		part, some := s.part(root, members, i == 0)
		if !some || s.ctx.Err() != nil {
			return nil, errWhole
		}
		m, err := runKustomize(part, root)
		if err != nil || part.failure != nil {
			s.partFault = err
			return nil, errWhole // which says better what is wrong
		}
		objects, err := s.trace(m.Resources(), members)
		if err != nil {
			return nil, err
		}
		all = append(all, objects...)
	}
	return inOrder(all, order)
}

// inOrder sorts objects by where they come from.
func inOrder(objects []built, order []place) ([]built, error) {
	places := make(map[string]int, len(order))
	for i, p := range order {
		places[rankKey(p.kind, p.position())] = i
	}
	ranks := make(map[*resource.Resource]int, len(objects))
	for _, b := range objects {
		rank, known := places[rankKey(b.GetKind(), b.source.position())]
		if !known {
			return nil, errWhole
		}
		ranks[b.Resource] = rank
	}
	slices.SortStableFunc(objects, func(a, b built) int { return cmp.Compare(ranks[a.Resource], ranks[b.Resource]) })
	return objects, nil
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

// order lists all objects as one build would: the resources of a kustomization, then what it generates, then its
// components. What is used again is listed once only.
func (s *scan) order(root string) []place {
	var list []place
	seen := map[string]bool{}
	var enter func(dir string)
	enter = func(dir string) {
		f := s.folders[dir]
		if f == nil || seen[dir] {
			return
		}
		seen[dir] = true
		for _, name := range f.k.Resources {
			if file, isFile := strings.CutPrefix(name, manifestRoot+"/"); isFile {
				for _, u := range s.units[file] {
					list = append(list, u.place)
				}
				continue
			}
			enter(path.Join(dir, name))
		}
		list = append(list, s.generatedIn[dir]...)
		for _, name := range f.k.Components {
			enter(path.Join(dir, name))
		}
	}
	enter(root)
	return list
}

// leaves are native kinds that name no other object.
var leaves = map[string]bool{"Secret": true, "ConfigMap": true}

// parts groups objects in their order. The first part has what kustomize's own name references may connect: native objects,
// and all that is generated.
func (s *scan) parts(order []place) [][]place {
	native := func(p place) bool { return p.group != virtualization }
	connected := slices.ContainsFunc(s.places, func(p place) bool { return native(p) && (p.group != "" || !leaves[p.kind]) })
	generated := positions(s.generated)
	var first, rest []place
	for _, p := range order {
		if generated[p.position()] || connected && native(p) {
			first = append(first, p)
		} else {
			rest = append(rest, p)
		}
	}
	return append([][]place{first}, slices.Collect(slices.Chunk(rest, s.split.size))...)
}

func positions(places []place) map[string]bool {
	set := make(map[string]bool, len(places))
	for _, p := range places {
		set[p.position()] = true
	}
	return set
}

// part is a jail in which the source has only some of its objects. It reports false when there is nothing in it.
func (s *scan) part(root string, members []place, generate bool) (*jail, bool) {
	j := &jail{tree: s.jail.tree, extra: maps.Clone(s.jail.extra), dirs: s.jail.dirs, sizes: s.jail.sizes, total: s.jail.total, most: s.jail.most}
	p := &partial{scan: s, jail: j, members: positions(members), generate: generate}
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
		return one.Target == nil && named && !p.members[target]
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
