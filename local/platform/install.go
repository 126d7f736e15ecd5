package platform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// fieldOwner names what this package applies by itself.
const fieldOwner = client.FieldOwner("slipway-up")

// tenant is the ServiceAccount that the Environment applies as.
const tenant = "slipway"

// applyFiles applies every object in the YAML files of a tree.
func applyFiles(ctx context.Context, c client.Client, tree fs.FS) error {
	names, err := fs.Glob(tree, "*.yaml")
	if err != nil {
		return fmt.Errorf("list manifests: %w", err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(tree, name)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if err := applyYAML(ctx, c, text); err != nil {
			return fmt.Errorf("apply %s: %w", name, err)
		}
	}
	return nil
}

func applyYAML(ctx context.Context, c client.Client, text []byte) error {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(u)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("parse: %w", err)
		}
		if err := applyUnstructured(ctx, c, u); err != nil {
			return err
		}
	}
}

// apply applies a typed object server-side.
func apply(ctx context.Context, c client.Client, obj client.Object) error {
	gvk, err := apiutil.GVKForObject(obj, c.Scheme())
	if err != nil {
		return fmt.Errorf("find the kind of %s: %w", obj.GetName(), err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return fmt.Errorf("convert %s: %w", obj.GetName(), err)
	}
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(gvk)
	unstructured.RemoveNestedField(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	return applyUnstructured(ctx, c, u)
}

func applyUnstructured(ctx context.Context, c client.Client, u *unstructured.Unstructured) error {
	err := c.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), fieldOwner, client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", u.GetKind(), client.ObjectKeyFromObject(u), err)
	}
	return nil
}

// applyTenant makes the namespace and the ServiceAccount with the Admin role for
// machines and the built-in edit role for what stands beside them.
func (p *Platform) applyTenant(ctx context.Context) error {
	namespace := p.options.Namespace
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
	}
	if p.options.ServiceAccount == "" {
		p.options.ServiceAccount = tenant
		objects = append(objects,
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: tenant, Namespace: namespace}},
			bindTenant(namespace, "slipway:admin"),
			bindTenant(namespace, "edit"),
			readClusterKinds(namespace),
		)
	}
	for _, obj := range objects {
		if err := apply(ctx, p.client, obj); err != nil {
			return err
		}
	}
	return nil
}

func bindTenant(namespace, role string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "slipway-tenant:" + role, Namespace: namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: tenant, Namespace: namespace}},
	}
}

// readClusterKinds lets the tenant see cluster images and classes, which a
// RoleBinding cannot.
func readClusterKinds(namespace string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "slipway-tenant:" + namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "slipway:user"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: tenant, Namespace: namespace}},
	}
}
