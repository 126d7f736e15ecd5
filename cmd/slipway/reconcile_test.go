package main

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

func TestSourcesAreAskedByTheirOwnAnnotation(t *testing.T) {
	tests := map[string]struct {
		ref        v1alpha1.SourceReference
		annotation string
		kind       string
	}{
		"ours":           {v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind}, v1alpha1.RequestedAtAnnotation, "*v1alpha1.GitRepository"},
		"ours, a bundle": {v1alpha1.SourceReference{Kind: v1alpha1.OCIRepositoryKind}, v1alpha1.RequestedAtAnnotation, "*v1alpha1.OCIRepository"},
		"Flux's":         {v1alpha1.SourceReference{APIVersion: v1alpha1.FluxAPIVersion, Kind: v1alpha1.OCIRepositoryKind}, "reconcile.fluxcd.io/requestedAt", v1alpha1.FluxAPIVersion + ", Kind=OCIRepository"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			source, annotation := sourceOf(test.ref)
			kind := fmt.Sprintf("%T", source)
			if u, ok := source.(*unstructured.Unstructured); ok {
				kind = u.GroupVersionKind().String()
			}
			if annotation != test.annotation || kind != test.kind {
				t.Errorf("%s by %s, want %s by %s", kind, annotation, test.kind, test.annotation)
			}
		})
	}
}
