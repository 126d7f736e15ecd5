package setup

import (
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/reconcilers/environment"
	"slipway.dev/slipway/render"
	"slipway.dev/slipway/render/schema"
)

// Planner plans a directory against a live cluster as the controller would.
func Planner(c client.Client) (*environment.Planner, error) {
	validator, err := schema.FromFS(crd.Files)
	if err != nil {
		return nil, err
	}
	return &environment.Planner{
		Renderer: render.New(1, validator),
		Mapper:   c.RESTMapper(),
		Deciders: environment.Deciders(),
	}, nil
}
