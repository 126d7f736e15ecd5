package kustomize

import (
	"sigs.k8s.io/kustomize/api/types"

	"slipway.dev/slipway/render/decrypt"
)

// Options are what an Environment adds to its source.
type Options struct {
	// Path is the directory to render, relative to the root of the tree; empty is the root.
	Path string
	// TargetNamespace is set on all namespaced objects.
	TargetNamespace string
	// NamePrefix and NameSuffix are put around all names, outside of those that the source adds.
	NamePrefix, NameSuffix string
	// Images change container images and disk images.
	Images []Image
	// Patches are applied after those of the source.
	Patches []Patch
	// Components are directories of kustomize components, relative to Path.
	Components []string
	// CommonMetadata is set on all objects, last.
	CommonMetadata Metadata
	// Keys open files that are encrypted with SOPS; nil opens none.
	Keys *decrypt.Keys `json:"-"`
}

// Image changes an image reference.
type Image struct {
	// Name is the image as it stands in the source, without tag or digest.
	Name string
	// NewName, NewTag and Digest replace its parts; empty leaves a part as it is.
	NewName, NewTag, Digest string
}

// Patch is a strategic merge patch or a JSON 6902 patch.
type Patch struct {
	// Patch is its text.
	Patch string
	// Target selects objects; nil is the one that the patch names.
	Target *Selector
}

// Selector selects objects. Empty fields select all; Group, Version, Kind, Name and Namespace are regular expressions.
type Selector struct {
	Group, Version, Kind, Name, Namespace, LabelSelector, AnnotationSelector string
}

// Metadata are labels and annotations.
type Metadata struct {
	Labels, Annotations map[string]string
}

// onlyPath reports whether nothing needs an overlay above the source.
func (o Options) onlyPath() bool {
	return o.TargetNamespace+o.NamePrefix+o.NameSuffix == "" && len(o.Images)+len(o.Patches)+len(o.Components) == 0
}

// kustomization returns the overlay that stands above the resources of the source. Components come from below their directory.
func (o Options) kustomization(resources, components []string) *types.Kustomization {
	k := &types.Kustomization{
		TypeMeta:   types.TypeMeta{APIVersion: types.KustomizationVersion, Kind: types.KustomizationKind},
		Resources:  resources,
		Components: components,
		Namespace:  o.TargetNamespace,
		NamePrefix: o.NamePrefix,
		NameSuffix: o.NameSuffix,
	}
	for _, i := range o.Images {
		k.Images = append(k.Images, types.Image{Name: i.Name, NewName: i.NewName, NewTag: i.NewTag, Digest: i.Digest})
	}
	for _, p := range o.Patches {
		k.Patches = append(k.Patches, asJSON(types.Patch{Patch: p.Patch, Target: p.Target.selector()}))
	}
	return k
}

func (s *Selector) selector() *types.Selector {
	if s == nil {
		return nil
	}
	out := &types.Selector{LabelSelector: s.LabelSelector, AnnotationSelector: s.AnnotationSelector}
	out.Group, out.Version, out.Kind, out.Name, out.Namespace = s.Group, s.Version, s.Kind, s.Name, s.Namespace
	return out
}
