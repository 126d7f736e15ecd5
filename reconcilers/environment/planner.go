package environment

import (
	"context"
	"io/fs"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/plan"
	"slipway.dev/slipway/render"
)

// Renderer makes objects of a tree. *render.Renderer is one.
type Renderer interface {
	Render(ctx context.Context, in render.Input) (render.Result, error)
}

// Planner goes the way from a tree of files to a plan without changing anything.
type Planner struct {
	// Renderer makes the objects, and checks them.
	Renderer Renderer
	// Mapper knows which kinds there are and which of them have namespaces.
	Mapper meta.RESTMapper
	// Deciders by kind; Deciders() are those of the module kinds.
	Deciders map[schema.GroupKind]plan.Decider
}

// Plan says what the Environment would do if its source had the given tree. It
// reads the cluster through the reader. The digest names the tree, empty when it
// has none; the revision is for messages only.
func (p *Planner) Plan(ctx context.Context, reader client.Reader, env *v1alpha1.Environment, tree Tree) (plan.Plan, error) {
	desired, err := p.render(ctx, reader, env, tree)
	if err != nil {
		return plan.Plan{}, err
	}
	live, err := gather(ctx, directReader{reader}, references(env, desired))
	if err != nil {
		return plan.Plan{}, err
	}
	return p.compute(env, tree.Revision, desired, live), nil
}

// Tree is what a source delivered.
type Tree struct {
	// Files of the tree.
	Files fs.FS
	// Digest names the files; empty when nothing may be cached.
	Digest string
	// Revision is what people call them.
	Revision string
}

func (p *Planner) compute(env *v1alpha1.Environment, revision string, desired rendered, live []*unstructured.Unstructured) plan.Plan {
	computed := plan.Compute(plan.Input{
		Owner:      client.ObjectKeyFromObject(env),
		Revision:   revision,
		Desired:    desired.objects,
		Live:       live,
		Inventory:  env.Status.Inventory,
		Tombstones: env.Status.Tombstones,
		Policy:     env.Spec.Prune,
		Deciders:   p.Deciders,
	})
	hideSecrets(&computed, desired.hidden)
	return computed
}
