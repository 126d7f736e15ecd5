package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/reconcilers/environment"
	"slipway.dev/slipway/render"
	validation "slipway.dev/slipway/render/schema"
)

// buildFlags say what a build adds to a directory.
type buildFlags struct {
	manifest  string
	keys      []string
	variables []string
	spec      v1alpha1.EnvironmentSpec
}

func (f *buildFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.manifest, "environment", "e", "", "file with the Environment whose settings are used")
	flags.StringArrayVar(&f.variables, "var", nil, "substitute a variable, as NAME=VALUE; may be repeated")
	flags.StringArrayVar(&f.keys, "decryption-key", nil, "file with a private key for SOPS files, *.agekey or *.asc; may be repeated")
	flags.StringVar(&f.spec.Path, "path", "", "directory to render inside of DIR, which stays the jail")
	flags.StringVar(&f.spec.TargetNamespace, "target-namespace", "", "namespace to set on every namespaced object")
	flags.StringVar(&f.spec.NamePrefix, "name-prefix", "", "put before every name")
	flags.StringVar(&f.spec.NameSuffix, "name-suffix", "", "put after every name")
}

// render goes the controller's way; it returns every problem that it finds.
func (f *buildFlags) render(ctx context.Context, tree fs.FS) ([]*unstructured.Unstructured, error) {
	env, objects, err := f.environment()
	if err != nil {
		return nil, err
	}
	validator, err := validation.FromFS(crd.Files)
	if err != nil {
		return nil, err
	}
	planner := &environment.Planner{Renderer: render.New(1, validator)}
	result, err := planner.Objects(ctx, objects, env, environment.Tree{Files: tree})
	return result.Objects, err
}

// environment puts the manifest and the flags together. The flags win.
func (f *buildFlags) environment() (*v1alpha1.Environment, manifests, error) {
	env, objects := &v1alpha1.Environment{}, manifests{}
	if f.manifest != "" {
		var err error
		if env, err = objects.load(f.manifest); err != nil {
			return nil, nil, fmt.Errorf("read %s: %w", f.manifest, err)
		}
	}
	for _, field := range []struct{ to, from *string }{
		{&env.Spec.Path, &f.spec.Path},
		{&env.Spec.TargetNamespace, &f.spec.TargetNamespace},
		{&env.Spec.NamePrefix, &f.spec.NamePrefix},
		{&env.Spec.NameSuffix, &f.spec.NameSuffix},
	} {
		if *field.from != "" {
			*field.to = *field.from
		}
	}
	if err := declare(env, f.variables); err != nil {
		return nil, nil, err
	}
	return env, objects, f.useKeys(env, objects)
}

// declare adds variables, given as NAME=VALUE, to those of an Environment.
func declare(env *v1alpha1.Environment, variables []string) error {
	for _, variable := range variables {
		name, value, found := strings.Cut(variable, "=")
		if !found {
			return fmt.Errorf("--var %s: write NAME=VALUE", variable)
		}
		if env.Spec.Substitute == nil {
			env.Spec.Substitute = map[string]string{}
		}
		env.Spec.Substitute[name] = value
	}
	return nil
}

// useKeys makes a Secret of key files, in place of the one that the Environment
// names.
func (f *buildFlags) useKeys(env *v1alpha1.Environment, objects manifests) error {
	if len(f.keys) == 0 {
		return nil
	}
	secret := &corev1.Secret{Data: map[string][]byte{}}
	for _, name := range f.keys {
		content, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("read key: %w", err)
		}
		secret.Data[filepath.Base(name)] = content
	}
	env.Spec.Decryption = &v1alpha1.Decryption{Provider: "sops", SecretRef: v1alpha1.LocalObjectReference{Name: "decryption-key"}}
	objects["Secret/decryption-key"] = secret
	return nil
}

// manifests are the ConfigMaps and Secrets of a file, by kind and name, in place
// of a cluster.
type manifests map[string]client.Object

// load reads a file and returns the Environment in it.
func (m manifests) load(name string) (*v1alpha1.Environment, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("open the file: %w", err)
	}
	var env *v1alpha1.Environment
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), len(content)+1)
	for {
		u := &unstructured.Unstructured{}
		switch err := decoder.Decode(&u.Object); {
		case errors.Is(err, io.EOF) && env == nil:
			return nil, fmt.Errorf("there is no %s in it", v1alpha1.EnvironmentKind)
		case errors.Is(err, io.EOF):
			return env, nil
		case err != nil:
			return nil, fmt.Errorf("parse YAML: %w", err)
		}
		found, err := m.take(u)
		if err != nil {
			return nil, err
		}
		if found != nil && env != nil {
			return nil, fmt.Errorf("there are two Environments in it, %s and %s; keep one", env.Name, found.Name)
		}
		if found != nil {
			env = found
		}
	}
}

// take sorts one object of a file in.
func (m manifests) take(u *unstructured.Unstructured) (*v1alpha1.Environment, error) {
	var o client.Object
	switch {
	case u.GetKind() == v1alpha1.EnvironmentKind && u.GroupVersionKind().Group == v1alpha1.SchemeGroupVersion.Group:
		o = &v1alpha1.Environment{}
	case u.GetAPIVersion() == "v1" && u.GetKind() == "ConfigMap":
		o = &corev1.ConfigMap{}
	case u.GetAPIVersion() == "v1" && u.GetKind() == "Secret":
		o = &corev1.Secret{}
	default:
		return nil, nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, o, true); err != nil {
		return nil, fmt.Errorf("%s %s: %w", u.GetKind(), u.GetName(), err)
	}
	if env, ok := o.(*v1alpha1.Environment); ok {
		return env, nil
	}
	if secret, ok := o.(*corev1.Secret); ok {
		settle(secret)
	}
	m[u.GetKind()+"/"+u.GetName()] = o
	return nil, nil
}

// settle does what the API server does with stringData.
func settle(secret *corev1.Secret) {
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	for name, value := range secret.StringData {
		secret.Data[name] = []byte(value)
	}
}

// Get implements client.Reader.
func (m manifests) Get(_ context.Context, key client.ObjectKey, to client.Object, _ ...client.GetOption) error {
	var resource string
	switch to := to.(type) {
	case *corev1.ConfigMap:
		if found, ok := m["ConfigMap/"+key.Name].(*corev1.ConfigMap); ok {
			*to = *found
			return nil
		}
		resource = "configmaps"
	case *corev1.Secret:
		if found, ok := m["Secret/"+key.Name].(*corev1.Secret); ok {
			*to = *found
			return nil
		}
		resource = "secrets"
	}
	return apierrors.NewNotFound(schema.GroupResource{Resource: resource}, key.Name)
}

// List implements client.Reader. A build lists nothing.
func (m manifests) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return apierrors.NewMethodNotSupported(schema.GroupResource{Group: metav1.GroupName}, "list")
}
