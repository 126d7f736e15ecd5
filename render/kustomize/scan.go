package kustomize

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway.dev/slipway/render/decrypt"
	"slipway.dev/slipway/sources/tree"
)

// Limits of one render.
const (
	maxKustomizations = 2_000
	maxNesting        = 64
	maxObjects        = 20_000
	maxWhole          = 4_000     // objects that kustomize must see together
	maxPatches        = 2_000     // in all kustomizations
	maxPath           = 1_024     // bytes of a path
	maxRead           = 128 << 20 // bytes of all files that are read
)

// scan reads all that a build will read, before kustomize does. It refuses what must not be built, knows afterwards
// where each object stands, and puts into the jail what kustomize sees instead of the files themselves.
type scan struct {
	ctx       context.Context //nolint:containedctx // lives as long as one render
	jail      *jail
	keys      *decrypt.Keys
	sealed    map[string]bool // files with encrypted documents
	stack     []string        // directories on the way down, for cycles
	done      map[string]bool // kustomizations that were read
	parsed    map[string][]place
	places    []place // all objects of manifests
	generated []place // all objects of generators

	split       splitting
	folders     map[string]*folder // kustomizations by their directory, as kustomize sees it
	units       map[string][]unit  // objects by their file
	generatedIn map[string][]place // objects of generators by their directory
	patched     map[string]string  // positions of the objects that patches name, by patchKey
	patchCount  int
	partFault   error           // why a part did not build
	kinds       map[string]bool // kinds of the virtualization API that were read so far
	kindChanges bool            // a patch may make one kind of another
	repeated    bool            // something is used more than once
	references  bool            // name references are configured that kustomize follows
	mergers     bool            // a generator changes what another made
	removals    bool            // an object may be dropped from what is built
	noted       bool            // objects carry notes of where they stand
}

func newScan(ctx context.Context, j *jail, keys *decrypt.Keys) *scan {
	return &scan{
		ctx: ctx, jail: j, keys: keys, sealed: map[string]bool{}, done: map[string]bool{}, parsed: map[string][]place{}, split: defaultSplitting,
		folders: map[string]*folder{}, kinds: map[string]bool{}, units: map[string][]unit{}, generatedIn: map[string][]place{},
	}
}

// mention is where a path is written down.
type mention struct {
	file string // the kustomization; empty when we generated it
	root *yaml.Node
	dir  string // what the path is relative to
}

// line finds the line in which a value stands, as an item of a list or as a field's value.
func (m mention) line(value string) int {
	if m.root == nil {
		return 0
	}
	if n := findScalar(m.root, value); n != nil {
		return n.Line
	}
	return m.root.Line
}

func findScalar(n *yaml.Node, value string) *yaml.Node {
	if n.Kind == yaml.ScalarNode && n.Value == value {
		return n
	}
	for _, c := range n.Content {
		if found := findScalar(c, value); found != nil {
			return found
		}
	}
	return nil
}

func (m mention) fault(value, problem, remedy string) *Error {
	e := &Error{File: m.file, Line: m.line(value), Problem: problem, Remedy: remedy}
	if m.file == "" {
		e.File = path.Join(m.dir, value)
	}
	return e
}

// resolve finds what a path means. Addresses, ways out of the tree, links and what is not there are *Error.
func (s *scan) resolve(m mention, value string) (name string, isDir bool, err error) {
	if remote(value) {
		return "", false, m.fault(value, fmt.Sprintf("%q is an address; nothing is fetched while rendering", value), "copy it into the source and name the copy")
	}
	if len(value) > maxPath {
		return "", false, m.fault(value, fmt.Sprintf("a path is longer than %d bytes", maxPath), "shorten it")
	}
	name, err = tree.Resolve(m.dir, value)
	if err != nil {
		return "", false, m.fault(value, fmt.Sprintf("%q leads out of the source tree", value), "move what it names into the source")
	}
	mode, err := s.jail.mode(name)
	return name, mode.IsDir(), s.explain(m, value, err)
}

// explain makes an *Error from what the jail found wrong with a path.
func (s *scan) explain(m mention, value string, err error) error {
	var wrong *pathFault
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &wrong):
		return fmt.Errorf("read source: %w", err)
	case wrong.missing:
		return m.fault(value, fmt.Sprintf("%q is not in the source", value), "check the path, and the ignore rules and sparse checkout of the source")
	}
	return m.fault(value, wrong.Error(), "")
}

// file is resolve for a path that must be a file.
func (s *scan) file(m mention, value string) (string, error) {
	name, isDir, err := s.resolve(m, value)
	if err == nil && isDir {
		err = m.fault(value, fmt.Sprintf("%q is a directory", value), "name a file in it")
	}
	return name, err
}

// yamlFile is file for one that must parse.
func (s *scan) yamlFile(m mention, value string) (string, []document, error) {
	name, err := s.file(m, value)
	if err != nil {
		return "", nil, err
	}
	content, err := s.jail.read(name)
	if err != nil {
		return "", nil, err
	}
	documents, err := parse(name, content)
	if err != nil {
		return "", nil, err
	}
	return name, documents, s.decrypt(name, documents)
}

// directory scans the kustomization of a directory.
func (s *scan) directory(m mention, value, dir string) error {
	if err := s.ctx.Err(); err != nil {
		return fmt.Errorf("render: %w", context.Cause(s.ctx))
	}
	if slices.Contains(s.stack, dir) {
		return m.fault(value, fmt.Sprintf("%q leads back to itself", value), "remove it from one of the kustomizations on the way: "+strings.Join(append(s.stack, dir), " → "))
	}
	if s.done[dir] {
		s.repeated = true
		return nil
	}
	if len(s.stack) == maxNesting || len(s.done) == maxKustomizations {
		return m.fault(value, fmt.Sprintf("the source has more than %d kustomizations, or more than %d inside each other", maxKustomizations, maxNesting), "split it")
	}
	file, err := s.kustomizationOf(dir)
	if err != nil {
		return err
	}
	if file == "" {
		return m.fault(value, fmt.Sprintf("%q is a directory without a kustomization.yaml", value), "add one, or list the manifests instead of the directory")
	}
	s.stack = append(s.stack, dir)
	defer func() { s.stack = s.stack[:len(s.stack)-1] }()
	s.done[dir] = true
	return s.kustomization(dir, file)
}

// kustomizationOf returns the kustomization file of a directory, or "".
func (s *scan) kustomizationOf(dir string) (string, error) {
	list, err := s.jail.list(dir)
	if err != nil {
		return "", err
	}
	var found []string
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if _, exists := list[name]; exists {
			found = append(found, path.Join(dir, name))
		}
	}
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", &Error{File: found[1], Problem: "the directory has more than one kustomization, " + strings.Join(found, " and "), Remedy: "keep one"}
}

// kustomization scans one file and all that it names.
func (s *scan) kustomization(dir, file string) error {
	content, err := s.jail.read(file)
	if err != nil {
		return s.explain(mention{dir: dir}, path.Base(file), err)
	}
	documents, err := parse(file, content)
	if err != nil {
		return err
	}
	if len(documents) != 1 {
		return &Error{File: file, Problem: fmt.Sprintf("has %d documents where one kustomization must stand", len(documents)), Remedy: "keep one document"}
	}
	k, err := decodeKustomization(documents[0], content)
	if err != nil {
		return err
	}
	m := mention{file: file, root: documents[0].root, dir: dir}
	if err := refuseFeatures(m, k); err != nil {
		return err
	}
	return s.expand(m, k, file)
}

// expand scans what a kustomization names and shows kustomize the result under the name of file.
func (s *scan) expand(m mention, k *types.Kustomization, file string) error {
	for _, step := range []func(mention, *types.Kustomization) error{
		s.resources, s.components, s.patches, s.generators, s.plugins, s.configurations,
	} {
		if err := step(m, k); err != nil {
			return err
		}
	}
	return s.show(absolute(m.dir), &folder{file: absolute(file), k: k})
}

// show puts a kustomization into the jail.
func (s *scan) show(dir string, f *folder) error {
	text, err := kustomizationText(f.k)
	if err != nil {
		return err
	}
	s.folders[dir] = f
	s.jail.extra[f.file] = text
	return nil
}

// kustomizationText is a kustomization as JSON, which is YAML that is written fast. It is read fast with line breaks only:
// see blockText.
func kustomizationText(k *types.Kustomization) ([]byte, error) {
	text, err := json.MarshalIndent(k, "", " ")
	if err != nil {
		return nil, fmt.Errorf("encode kustomization: %w", err)
	}
	return text, nil
}

// refuseFeatures refuses what a render must never do.
func refuseFeatures(m mention, k *types.Kustomization) error {
	switch {
	case len(k.HelmCharts) > 0 || k.HelmGlobals != nil:
		return m.fault("", "Helm charts are not rendered", "commit the output of helm template instead")
	case len(k.OpenAPI) > 0:
		return m.fault("", "the field openapi is not supported", "remove it; the schemas of our kinds are built in")
	}
	return nil
}

// resources scans directories and manifests. Manifests are shown to kustomize as we have understood them, under a path of
// their own: the same file may also be a patch or the content of a ConfigMap.
func (s *scan) resources(m mention, k *types.Kustomization) error {
	own := map[identity]place{}
	var shown []string
	for _, value := range k.Resources {
		name, isDir, err := s.resolve(m, value)
		if err != nil {
			return err
		}
		if isDir {
			inner, err := s.directoryResources(m, value, name)
			if err != nil {
				return err
			}
			shown = append(shown, inner...)
			continue
		}
		if err := s.manifests(m, value, name, own); err != nil {
			return err
		}
		shown = append(shown, path.Join(manifestRoot, name))
	}
	k.Resources = shown
	return nil
}

// directoryResources scans a directory and returns the resources that kustomize shall read for it. A directory that is used again stays
// what it is: a few files that name each other twice would become a list without end.
func (s *scan) directoryResources(m mention, value, name string) ([]string, error) {
	again := s.done[name]
	if err := s.directory(m, value, name); err != nil || again {
		return []string{value}, err
	}
	return s.folders[absolute(name)].resources(value), nil
}

// manifests checks the objects of a file; own are those of the same kustomization so far.
func (s *scan) manifests(m mention, value, name string, own map[identity]place) error {
	places, err := s.objects(m, value, name)
	if err != nil {
		return err
	}
	for _, p := range places {
		if first, twice := own[p.identity]; twice {
			return duplicate(first, p)
		}
		own[p.identity] = p
	}
	return nil
}

func duplicate(first, second place) *Error {
	return &Error{
		File: second.file, Line: second.line, Object: second.String(),
		Problem: "has the name of another object, in " + first.position(), Remedy: "rename or remove one of the two",
	}
}

// objects parses a file of manifests, once.
func (s *scan) objects(m mention, value, name string) ([]place, error) {
	if places, done := s.parsed[name]; done {
		s.repeated = true
		return places, nil
	}
	_, documents, err := s.yamlFile(m, value)
	if err != nil {
		return nil, err
	}
	var places []place
	for _, list := range documents {
		for _, d := range list.items() {
			p, err := d.object()
			if err != nil {
				return nil, err
			}
			if p.group == "kustomize.config.k8s.io" {
				return nil, m.fault(value, fmt.Sprintf("%q is a kustomization, not a manifest", value), "name its directory instead")
			}
			if p.group == virtualization {
				s.kinds[p.kind] = true
			}
			text, err := d.shown(p)
			if err != nil {
				return nil, err
			}
			s.removals = s.removals || d.local()
			s.units[name] = append(s.units[name], unit{p, text})
			places = append(places, p)
		}
	}
	s.parsed[name] = places
	s.showUnits(name)
	s.places = append(s.places, places...)
	if len(s.places) > maxObjects {
		return nil, tooManyObjects(name)
	}
	return places, nil
}

func (s *scan) components(m mention, k *types.Kustomization) error {
	for _, value := range k.Components {
		name, isDir, err := s.resolve(m, value)
		if err != nil {
			return err
		}
		if !isDir {
			return m.fault(value, fmt.Sprintf("the component %q is a file", value), "name its directory")
		}
		if err := s.directory(m, value, name); err != nil {
			return err
		}
	}
	return nil
}

// patches checks patch and replacement files, and turns the deprecated forms into the one form that kustomize does not
// complain about on our standard error.
func (s *scan) patches(m mention, k *types.Kustomization) error {
	if err := k.FixKustomizationPreMarshalling(below{FileSystem: s.jail, dir: absolute(m.dir)}); err != nil {
		return m.fault("", err.Error(), "")
	}
	if s.patchCount += len(k.Patches); s.patchCount > maxPatches {
		return m.fault("", fmt.Sprintf("the source has more than %d patches", maxPatches), "write the values into the manifests, or split the source into several Environments")
	}
	for i := range k.Patches {
		if err := s.patch(m, &k.Patches[i]); err != nil {
			return err
		}
	}
	for _, r := range k.Replacements {
		if r.Path == "" {
			continue
		}
		if _, _, err := s.yamlFile(m, r.Path); err != nil {
			return err
		}
	}
	return nil
}

// generators checks the files of ConfigMap and Secret generators and notes where each generator stands.
func (s *scan) generators(m mention, k *types.Kustomization) error {
	for i := range k.ConfigMapGenerator {
		if err := s.generator(m, "ConfigMap", &k.ConfigMapGenerator[i].GeneratorArgs); err != nil {
			return err
		}
	}
	for i := range k.SecretGenerator {
		if err := s.generator(m, "Secret", &k.SecretGenerator[i].GeneratorArgs); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) generator(m mention, kind string, g *types.GeneratorArgs) error {
	p := place{identity: identity{kind: kind, namespace: g.Namespace, name: g.Name}, file: m.file, line: m.line(g.Name)}
	s.generated = append(s.generated, p)
	s.generatedIn[absolute(m.dir)] = append(s.generatedIn[absolute(m.dir)], p)
	s.mergers = s.mergers || g.Behavior != "" && g.Behavior != types.BehaviorCreate.String()
	options := types.GeneratorOptions{}
	if g.Options != nil {
		options = *g.Options
	}
	options.Annotations = merged(options.Annotations, map[string]string{OriginAnnotation: p.position()})
	g.Options = &options
	if err := s.generatorFiles(m, kind, g.FileSources, true); err != nil {
		return err
	}
	return s.generatorFiles(m, kind, g.EnvSources, false)
}

// generatorFiles checks the files of a generator. Of a Secret's files it names those in clear instead that are encrypted;
// what is encrypted shall not be readable in a ConfigMap.
func (s *scan) generatorFiles(m mention, kind string, values []string, keyed bool) error {
	for i, value := range values {
		key, file, found := strings.Cut(value, "=")
		if !found {
			key, file = path.Base(value), value
		}
		name, err := s.file(m, file)
		if err != nil {
			var fault *Error
			if errors.As(err, &fault) {
				fault.Line = m.line(value)
			}
			return err
		}
		if kind != "Secret" {
			continue
		}
		shown, err := s.inputFile(name)
		switch {
		case err != nil:
			return err
		case shown != "" && keyed:
			values[i] = key + "=" + shown
		case shown != "":
			values[i] = shown
		}
	}
	return nil
}

func tooManyObjects(file string) *Error {
	return &Error{File: file, Problem: fmt.Sprintf("the source has more than %d objects", maxObjects), Remedy: "split it into several Environments"}
}

// weigh counts the objects that a build will have. A directory that is used in several places counts in each of them: a few
// files that name each other twice come to more objects than there is memory.
func (s *scan) weigh(root string) (int, error) {
	known := map[string]int{}
	var weigh func(dir string) int
	weigh = func(dir string) int {
		f := s.folders[dir]
		if f == nil {
			return 0
		}
		if n, found := known[dir]; found {
			return n
		}
		n := len(s.generatedIn[dir])
		for _, name := range slices.Concat(f.k.Resources, f.k.Components) {
			if file, isFile := strings.CutPrefix(name, manifestRoot+"/"); isFile {
				n += len(s.units[file])
				continue
			}
			n += weigh(path.Join(dir, name))
		}
		known[dir] = min(n, maxObjects+1)
		return known[dir]
	}
	n := weigh(root)
	if n > maxObjects {
		file, _ := relative(s.folders[root].file)
		return n, tooManyObjects(file)
	}
	return n, nil
}
