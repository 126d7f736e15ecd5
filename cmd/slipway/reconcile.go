package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

func newReconcile(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "reconcile ENVIRONMENT",
		Short: "Fetch an Environment's source and apply it now",
		Args:  exactArgs(1, "the name of one Environment"),
		ValidArgsFunction: completeNames(g, func() client.ObjectList {
			return &v1alpha1.EnvironmentList{}
		}),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := g.connect()
			if err != nil {
				return err
			}
			env := &v1alpha1.Environment{}
			if err := c.Get(cmd.Context(), client.ObjectKey{Namespace: c.namespace, Name: args[0]}, env); err != nil {
				return fmt.Errorf("find Environment %s in namespace %s: %w", args[0], c.namespace, err)
			}
			return requestReconcile(cmd.Context(), c, env)
		},
	}
}

// requestReconcile asks for the source first, then for the Environment itself,
// which also runs when the source did not move.
func requestReconcile(ctx context.Context, c client.Client, env *v1alpha1.Environment) error {
	source, annotation := sourceOf(env.Spec.SourceRef)
	key := client.ObjectKey{Namespace: env.Namespace, Name: env.Spec.SourceRef.Name}
	if err := c.Get(ctx, key, source); err != nil {
		return fmt.Errorf("find the Environment's source %s: %w", key, err)
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	if err := annotate(ctx, c, source, annotation, now); err != nil {
		return err
	}
	return annotate(ctx, c, env, v1alpha1.RequestedAtAnnotation, now)
}

// fluxRequestedAt is the annotation by which Flux's controllers are asked.
const fluxRequestedAt = "reconcile.fluxcd.io/requestedAt"

// sourceOf is an empty source of a reference's kind, and the annotation by which its controller is asked.
func sourceOf(ref v1alpha1.SourceReference) (source client.Object, annotation string) {
	switch {
	case ref.IsFlux():
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind))
		return u, fluxRequestedAt
	case ref.Kind == v1alpha1.OCIRepositoryKind:
		return &v1alpha1.OCIRepository{}, v1alpha1.RequestedAtAnnotation
	}
	return &v1alpha1.GitRepository{}, v1alpha1.RequestedAtAnnotation
}

func annotate(ctx context.Context, c client.Client, obj client.Object, key, value string) error {
	base := client.MergeFrom(obj.DeepCopyObject().(client.Object))
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	obj.SetAnnotations(annotations)
	if err := c.Patch(ctx, obj, base); err != nil {
		return fmt.Errorf("annotate %s: %w", client.ObjectKeyFromObject(obj), err)
	}
	return nil
}
