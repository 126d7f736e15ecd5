package apply

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	owner = client.FieldOwner("slipway-engine")

	pollEvery = 100 * time.Millisecond
	patience  = 2 * time.Minute
)

// Applier applies stages.
type Applier struct {
	client client.Client
}

// New makes an Applier for an API server.
func New(config *rest.Config) (*Applier, error) {
	kinds := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(kinds); err != nil {
		return nil, fmt.Errorf("register definitions: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: kinds})
	if err != nil {
		return nil, fmt.Errorf("make a client to apply with: %w", err)
	}
	return &Applier{client: c}, nil
}

// Apply applies stages one after the other. Of a stage with definitions it waits until they are served.
func (a *Applier) Apply(ctx context.Context, stages ...Stage) error {
	for _, stage := range stages {
		for _, object := range stage.Objects {
			if err := a.applyOne(ctx, object.DeepCopy(), stage.Subresource); err != nil {
				return fmt.Errorf("apply stage %s: %w", stage.Name, err)
			}
		}
		if err := a.waitServed(ctx, stage.Objects); err != nil {
			return fmt.Errorf("apply stage %s: %w", stage.Name, err)
		}
	}
	return nil
}

// ApplyFiles applies the objects of a tree's YAML files.
func (a *Applier) ApplyFiles(ctx context.Context, tree fs.FS) error {
	objects, err := ReadFiles(tree)
	if err != nil {
		return err
	}
	return a.Apply(ctx, Stage{Name: "files", Objects: objects})
}

// applyOne tries again while the API server has not noticed yet that it serves a new kind.
func (a *Applier) applyOne(ctx context.Context, object *unstructured.Unstructured, subresource string) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollEvery, patience, true, func(ctx context.Context) (bool, error) {
		last = a.send(ctx, object.DeepCopy(), subresource)
		return !meta.IsNoMatchError(last), nil
	})
	if last != nil {
		err = last
	}
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", object.GetKind(), client.ObjectKeyFromObject(object), err)
	}
	return nil
}

func (a *Applier) send(ctx context.Context, object *unstructured.Unstructured, subresource string) error {
	configuration := client.ApplyConfigurationFromUnstructured(object)
	if subresource == "" {
		return a.client.Apply(ctx, configuration, owner, client.ForceOwnership) //nolint:wrapcheck // the caller names the object
	}
	options := client.ApplyOptions{FieldManager: string(owner), Force: new(true)}
	return a.client.SubResource(subresource).Apply(ctx, configuration, &client.SubResourceApplyOptions{ApplyOptions: options}) //nolint:wrapcheck // as above
}

// waitServed waits for the definitions among objects.
func (a *Applier) waitServed(ctx context.Context, objects []*unstructured.Unstructured) error {
	for _, object := range objects {
		if object.GetKind() != "CustomResourceDefinition" {
			continue
		}
		if err := a.waitEstablished(ctx, object.GetName()); err != nil {
			return err
		}
	}
	return nil
}

func (a *Applier) waitEstablished(ctx context.Context, name string) error {
	err := wait.PollUntilContextTimeout(ctx, pollEvery, patience, true, func(ctx context.Context) (bool, error) {
		var definition apiextensionsv1.CustomResourceDefinition
		if err := a.client.Get(ctx, client.ObjectKey{Name: name}, &definition); err != nil {
			return false, fmt.Errorf("get: %w", err)
		}
		for _, condition := range definition.Status.Conditions {
			if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("wait until definition %s is served: %w", name, err)
	}
	return nil
}
