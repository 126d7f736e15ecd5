package install

import (
	"context"

	"slipway.dev/slipway/test/engine/apply"
)

// judged says which stage hands objects over to a component's own webhooks, and
// how it is known that they answer.
type judged struct {
	// by is the stage's name.
	by string
	// namespace of the component's pods.
	namespace string
	// path that the component's own API server serves when all is applied.
	path string
}

// apply applies a component's stages. Before its webhooks it waits for its pods:
// nothing more could be made in between.
func (t tools) apply(ctx context.Context, stages []apply.Stage, j judged) error {
	for _, stage := range stages {
		if stage.Name == j.by {
			t.Report("pods in " + j.namespace)
			if err := t.workloads(ctx, j.namespace); err != nil {
				return err
			}
		}
		if err := t.applier.Apply(ctx, stage); err != nil {
			return err
		}
	}
	return t.served(ctx, j.path)
}
