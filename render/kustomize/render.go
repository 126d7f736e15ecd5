package kustomize

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime/debug"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"slipway.dev/slipway/sources/tree"
)

// Render returns the objects of a source, in the order of the source. They belong to the caller, who calls StripOrigin
// before applying one. Faults of the source are *Error. A directory without manifests renders nothing, which is no error.
func Render(ctx context.Context, source fs.FS, o Options) ([]*unstructured.Unstructured, error) {
	return newScan(ctx, newJail(source), o.Keys).render(o)
}

func (s *scan) render(o Options) ([]*unstructured.Unstructured, error) {
	if err := learnScopes(); err != nil {
		return nil, err
	}
	dir, err := s.base(o.Path)
	if err != nil {
		return nil, err
	}
	found, err := s.start(dir)
	if err != nil || !found {
		return nil, err
	}
	root, err := s.overlay(dir, o)
	if err != nil {
		return nil, err
	}
	list, err := s.build(dir, root)
	if err != nil {
		return nil, err
	}
	return s.finish(list, o)
}

// base checks the directory that an Environment names.
func (s *scan) base(value string) (string, error) {
	fault := func(problem string) error {
		return &Error{File: value, Problem: problem, Remedy: "correct spec.path of the Environment"}
	}
	dir, err := tree.Resolve(".", path.Join(".", path.Clean("./"+value)))
	if err != nil {
		return "", fault("is not a path within the source")
	}
	mode, err := s.jail.mode(dir)
	var wrong *pathFault
	switch {
	case errors.As(err, &wrong) && wrong.missing:
		return "", fault("is not in the source")
	case errors.As(err, &wrong):
		return "", fault(wrong.Error())
	case err != nil:
		return "", fmt.Errorf("read source: %w", err)
	case !mode.IsDir():
		return "", fault("is a file where a directory must stand")
	}
	return dir, nil
}

// overlay puts the kustomization above the source into the jail and returns the directory to build.
func (s *scan) overlay(dir string, o Options) (string, error) {
	s.jail.extra[defaultsFile] = defaultConfiguration()
	if o.onlyPath() {
		return absolute(dir), nil
	}
	if err := s.components(mention{dir: dir}, &types.Kustomization{Components: o.Components}); err != nil {
		return "", err
	}
	var components []string
	for _, c := range o.Components {
		components = append(components, ".."+absolute(path.Join(dir, c)))
	}
	k := o.kustomization(s.folders[absolute(dir)].resources(".."+absolute(dir)), components)
	if s.needsDefaults(k) {
		k.Configurations = []string{defaultsFile}
	}
	return overlayRoot, s.show(overlayRoot, &folder{file: overlayRoot + "/kustomization.yaml", k: k})
}

// build runs kustomize. It has no way to stop, so a render that is given up ends on its own.
func (s *scan) build(dir, root string) ([]built, error) {
	type outcome struct {
		objects []built
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		objects, err := s.run(root)
		done <- outcome{objects, err}
	}()
	select {
	case <-s.ctx.Done():
		return nil, fmt.Errorf("render: %w", context.Cause(s.ctx))
	case o := <-done:
		if s.jail.failure != nil {
			return nil, s.jail.failure
		}
		var own *Error
		switch {
		case errors.As(o.err, &own):
			return nil, own
		case o.err != nil:
			return nil, s.diagnose(dir, o.err)
		}
		return o.objects, nil
	}
}

func (s *scan) run(root string) ([]built, error) {
	count, err := s.weigh(root)
	if err != nil {
		return nil, err
	}
	order := s.order(root)
	if s.traceable(order) {
		if objects, err := s.assemble(root, order, count); !errors.Is(err, errUntraced) {
			return objects, err
		}
	}
	if err := s.note(); err != nil {
		return nil, err
	}
	return s.assemble(root, order, count)
}

// assemble builds in parts where that is faster, and otherwise the whole.
func (s *scan) assemble(root string, order []place, count int) ([]built, error) {
	if objects, err := s.buildParts(root, order); !errors.Is(err, errWhole) {
		return objects, err
	}
	if count > maxWhole {
		return nil, s.tooLarge(root, count)
	}
	m, err := runKustomize(s.jail, root)
	if err != nil {
		return nil, err
	}
	return s.trace(m.Resources(), order)
}

// tooLarge says why many objects cannot be built. A part of them may say better what is wrong.
func (s *scan) tooLarge(root string, count int) error {
	if s.partFault != nil {
		return s.partFault
	}
	file, _ := relative(s.folders[root].file)
	return &Error{
		File: file, Problem: fmt.Sprintf("has %d objects that must be built together, more than %d", count, maxWhole),
		Remedy: "split the source into several Environments, or do without replacements, configured name references, transformers and bases that are used twice",
	}
}

func runKustomize(fsys filesys.FileSystem, root string) (built resmap.ResMap, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("kustomize panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return krusty.MakeKustomizer(&krusty.Options{ //nolint:wrapcheck // explained by diagnose
		Reorder:          krusty.ReorderOptionNone,
		LoadRestrictions: types.LoadRestrictionsNone, // the jail is the restriction
		PluginConfig:     types.DisabledPluginConfig(),
	}).Run(fsys, root)
}
