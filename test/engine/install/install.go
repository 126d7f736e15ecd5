package install

import (
	"context"
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"slipway.dev/slipway/test/engine/apply"
)

// Target is where a component goes.
type Target struct {
	// Config reaches the API server.
	Config *rest.Config
	// Dir is for generated objects and certificates.
	Dir string
	// Binaries are the paths of what was built.
	Binaries map[string]string
	// Report is told of each step that begins.
	Report func(step string)
}

// Component installs one.
type Component struct {
	// Name of the component.
	Name string
	// Install puts it on the target and waits until it works.
	Install func(ctx context.Context, target Target) error
}

// tools are what installing needs of a target.
type tools struct {
	Target
	applier *apply.Applier
	client  *kubernetes.Clientset
}

func (t Target) tools() (tools, error) {
	applier, err := apply.New(t.Config)
	if err != nil {
		return tools{}, err
	}
	client, err := kubernetes.NewForConfig(t.Config)
	if err != nil {
		return tools{}, fmt.Errorf("make a client: %w", err)
	}
	return tools{Target: t, applier: applier, client: client}, nil
}
