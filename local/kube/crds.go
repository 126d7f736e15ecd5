package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	fieldOwner   = "slipway"
	crdKind      = "CustomResourceDefinition"
	establishMax = 5 * time.Minute
)

// InstallCRDs applies every CustomResourceDefinition found in the YAML files
// of the given trees and waits until the API server serves them. Other objects
// in the files are left out.
func InstallCRDs(ctx context.Context, config *rest.Config, trees ...fs.FS) error {
	var crds []*unstructured.Unstructured
	for _, tree := range trees {
		found, err := readCRDs(tree)
		if err != nil {
			return fmt.Errorf("read CustomResourceDefinitions: %w", err)
		}
		crds = append(crds, found...)
	}
	c, err := newCRDClient(config)
	if err != nil {
		return err
	}
	for _, crd := range crds {
		// Server-side, because the largest do not fit into the annotation
		// that a client-side apply leaves.
		if err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(crd.DeepCopy()), client.FieldOwner(fieldOwner), client.ForceOwnership); err != nil {
			return fmt.Errorf("apply CustomResourceDefinition %s: %w", crd.GetName(), err)
		}
	}
	for _, crd := range crds {
		if err := waitEstablished(ctx, c, crd.GetName()); err != nil {
			return err
		}
	}
	return nil
}

func newCRDClient(config *rest.Config) (client.Client, error) {
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register CustomResourceDefinition: %w", err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("make client for CustomResourceDefinitions: %w", err)
	}
	return c, nil
}

func waitEstablished(ctx context.Context, c client.Client, name string) error {
	var crd apiextensionsv1.CustomResourceDefinition
	err := wait.PollUntilContextTimeout(ctx, pollEvery, establishMax, true, func(ctx context.Context) (bool, error) {
		if err := c.Get(ctx, client.ObjectKey{Name: name}, &crd); err != nil {
			return false, fmt.Errorf("get: %w", err)
		}
		return established(&crd), nil
	})
	if err != nil {
		return fmt.Errorf("wait until CustomResourceDefinition %s is served: %w: conditions %v", name, err, crd.Status.Conditions)
	}
	return nil
}

func established(crd *apiextensionsv1.CustomResourceDefinition) bool {
	return slices.ContainsFunc(crd.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
	})
}

// readCRDs returns the definitions of a tree, in the order of their paths.
func readCRDs(tree fs.FS) ([]*unstructured.Unstructured, error) {
	var crds []*unstructured.Unstructured
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, path.Ext(name)) {
			return err
		}
		found, err := readFile(tree, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		crds = append(crds, found...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("walk: %w", err)
	}
	return crds, nil
}

func readFile(tree fs.FS, name string) ([]*unstructured.Unstructured, error) {
	file, err := tree.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	defer func() { _ = file.Close() }()
	var crds []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(file, 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return crds, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decode: %w", err)
		}
		if object.GetKind() == crdKind {
			crds = append(crds, withoutStatus(object))
		}
	}
}

// withoutStatus drops what generators leave behind and the server owns.
func withoutStatus(crd *unstructured.Unstructured) *unstructured.Unstructured {
	unstructured.RemoveNestedField(crd.Object, "status")
	unstructured.RemoveNestedField(crd.Object, "metadata", "creationTimestamp")
	return crd
}
