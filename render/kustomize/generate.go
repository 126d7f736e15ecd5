package kustomize

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"slipway.dev/slipway/sources/tree"
)

// start scans the directory to render. One without a kustomization gets one that lists all its manifests, and those of
// the directories below; a directory below that has a kustomization counts as a whole. It reports whether there is
// anything to build.
func (s *scan) start(dir string) (bool, error) {
	file, err := s.kustomizationOf(dir)
	if err != nil {
		return false, err
	}
	if file != "" {
		return true, s.directory(mention{dir: dir}, ".", dir)
	}
	list, err := s.list(dir, ".")
	if err != nil || len(list) == 0 {
		return false, err
	}
	k := &types.Kustomization{TypeMeta: types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind}, Resources: list}
	return true, s.expand(mention{dir: dir}, k, path.Join(dir, konfig.DefaultKustomizationFileName()))
}

// list names what to render below root/dir, relative to root, in the order of the names.
func (s *scan) list(root, dir string) ([]string, error) {
	entries, err := s.jail.list(path.Join(root, dir))
	if err != nil {
		return nil, err
	}
	var list []string
	for _, name := range slices.Sorted(maps.Keys(entries)) {
		more, err := s.listed(root, path.Join(dir, name), entries[name])
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

func (s *scan) listed(root, name string, mode fs.FileMode) ([]string, error) {
	full := path.Join(root, name)
	extension := path.Ext(name)
	isYAML := extension == ".yaml" || extension == ".yml"
	switch problem := tree.Usable(mode); {
	case strings.HasPrefix(path.Base(name), "."):
		return nil, nil
	case problem != nil && (isYAML || extension == ""): // it may be a directory of manifests
		return nil, &Error{File: full, Problem: problem.Error()}
	case mode.IsDir():
		return s.subdirectory(root, name)
	case isYAML && mode.IsRegular():
		return []string{name}, nil
	}
	return nil, nil
}

func (s *scan) subdirectory(root, name string) ([]string, error) {
	if strings.Count(name, "/") > maxNesting {
		return nil, &Error{File: path.Join(root, name), Problem: fmt.Sprintf("is more than %d directories deep", maxNesting)}
	}
	file, err := s.kustomizationOf(path.Join(root, name))
	if err != nil {
		return nil, err
	}
	if file != "" {
		return []string{name}, nil
	}
	return s.list(root, name)
}
