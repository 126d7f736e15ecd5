package environment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/render/decrypt"
	"slipway.dev/slipway/render/substitute"
)

// inputs are what a render takes from the Environment's namespace beside the
// tree: variables and keys.
type inputs struct {
	// variables are nil when the Environment does not substitute.
	variables substitute.Variables
	keys      *decrypt.Keys
}

// inputReference names a ConfigMap or Secret that a render takes inputs from.
type inputReference struct {
	kind, name, field string
	optional          bool
}

// inputReferences lists where a spec takes inputs from, in their order.
func inputReferences(spec v1alpha1.EnvironmentSpec) []inputReference {
	var refs []inputReference
	for i, from := range spec.SubstituteFrom {
		refs = append(refs, inputReference{from.Kind, from.Name, fmt.Sprintf("spec.substituteFrom[%d]", i), from.Optional})
	}
	if spec.Decryption != nil {
		refs = append(refs, inputReference{"Secret", spec.Decryption.SecretRef.Name, "spec.decryption.secretRef", false})
	}
	return refs
}

// inputVersions names the objects that a render takes inputs from, as they are
// now. It reads metadata only, which the controller watches.
func inputVersions(ctx context.Context, reader client.Reader, env *v1alpha1.Environment) (string, error) {
	var b strings.Builder
	for _, ref := range inputReferences(env.Spec) {
		meta := &metav1.PartialObjectMetadata{}
		meta.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(ref.kind))
		err := reader.Get(ctx, client.ObjectKey{Namespace: env.Namespace, Name: ref.name}, meta)
		if err != nil && !apierrors.IsNotFound(err) {
			return "", fmt.Errorf("look for %s %s of %s: %w", ref.kind, ref.name, ref.field, err)
		}
		fmt.Fprintf(&b, "/%s.%s", meta.UID, meta.ResourceVersion)
	}
	return b.String(), nil
}

// readInputs reads variables and keys from the Environment's namespace, and from
// nowhere else, with the rights of whoever reads: the Environment's
// ServiceAccount, or the person who plans.
func readInputs(ctx context.Context, reader client.Reader, env *v1alpha1.Environment) (inputs, error) {
	variables, err := readVariables(ctx, reader, env)
	if err != nil {
		return inputs{}, err
	}
	keys, err := readKeys(ctx, reader, env)
	return inputs{variables, keys}, err
}

// readVariables lets later sources of a variable win over earlier ones, and the
// spec itself over all of them.
func readVariables(ctx context.Context, reader client.Reader, env *v1alpha1.Environment) (substitute.Variables, error) {
	spec := env.Spec
	if len(spec.Substitute)+len(spec.SubstituteFrom) == 0 {
		return nil, nil
	}
	variables := substitute.Variables{}
	for _, ref := range inputReferences(v1alpha1.EnvironmentSpec{SubstituteFrom: spec.SubstituteFrom}) {
		data, err := readInput(ctx, reader, env.Namespace, ref)
		if err != nil {
			return nil, err
		}
		for name, value := range data {
			if substitute.CheckName(name) == nil { // what cannot be named cannot be used
				variables[name] = substitute.Variable{Value: string(value), Secret: ref.kind == "Secret"}
			}
		}
	}
	for name, value := range spec.Substitute {
		if err := substitute.CheckName(name); err != nil {
			return nil, refuse(v1alpha1.RenderFailedReason, "spec.substitute: %w", err)
		}
		variables[name] = substitute.Variable{Value: value}
	}
	return variables, nil
}

func readKeys(ctx context.Context, reader client.Reader, env *v1alpha1.Environment) (*decrypt.Keys, error) {
	if env.Spec.Decryption == nil {
		return nil, nil
	}
	ref := inputReferences(v1alpha1.EnvironmentSpec{Decryption: env.Spec.Decryption})[0]
	data, err := readInput(ctx, reader, env.Namespace, ref)
	if err != nil {
		return nil, err
	}
	keys, err := decrypt.ParseKeys(data)
	var refusal *decrypt.Error
	if errors.As(err, &refusal) {
		return nil, refuse(v1alpha1.RenderFailedReason, "%s: Secret %s: %w", ref.field, ref.name, err)
	}
	return keys, err //nolint:wrapcheck // always a refusal
}

// readInput returns the data of a ConfigMap or Secret; nil when it is optional
// and not there.
func readInput(ctx context.Context, reader client.Reader, namespace string, ref inputReference) (map[string][]byte, error) {
	var data map[string][]byte
	var err error
	key := client.ObjectKey{Namespace: namespace, Name: ref.name}
	if ref.kind == "Secret" {
		secret := &corev1.Secret{}
		err = reader.Get(ctx, key, secret)
		data = secret.Data
	} else {
		values := &corev1.ConfigMap{}
		err = reader.Get(ctx, key, values)
		data = bytesOf(values)
	}
	switch {
	case apierrors.IsNotFound(err) && ref.optional:
		return nil, nil
	case apierrors.IsNotFound(err):
		return nil, refuse(v1alpha1.InputNotFoundReason, "%s: there is no %s %s in namespace %s; create it, or correct the name", ref.field, ref.kind, ref.name, namespace)
	case err != nil:
		return nil, fmt.Errorf("read %s %s of %s: %w", ref.kind, ref.name, ref.field, err)
	}
	return data, nil
}

func bytesOf(values *corev1.ConfigMap) map[string][]byte {
	data := make(map[string][]byte, len(values.Data)+len(values.BinaryData))
	for name, value := range values.Data {
		data[name] = []byte(value)
	}
	for name, value := range values.BinaryData {
		data[name] = value
	}
	return data
}

// usersOfInput maps a ConfigMap or Secret to the Environments of its namespace
// that take inputs from it.
func (r *reconciler) usersOfInput(kind string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		list := &v1alpha1.EnvironmentList{}
		if err := r.reader.List(ctx, list, client.InNamespace(o.GetNamespace())); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "list Environments that use an object", "kind", kind, "name", o.GetName())
			return nil
		}
		var requests []reconcile.Request
		for i := range list.Items {
			uses := func(ref inputReference) bool { return ref.kind == kind && ref.name == o.GetName() }
			if slices.ContainsFunc(inputReferences(list.Items[i].Spec), uses) {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
			}
		}
		return requests
	})
}
