package intake

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/internal/signatures"
)

// SignedByAnnotation of an image or a disk names the Secret that says who must have signed its container image: in its own
// namespace, or as namespace/name for an image that has none.
const SignedByAnnotation = "image.slipway.dev/signed-by"

// SignedBy names the Secret of the annotation; it has no name where there is none. A Secret of another namespace than the
// object's is an error.
func SignedBy(o client.Object) (types.NamespacedName, error) {
	value := o.GetAnnotations()[SignedByAnnotation]
	namespace, name, qualified := strings.Cut(value, "/")
	key := types.NamespacedName{Namespace: o.GetNamespace(), Name: value}
	if qualified {
		key = types.NamespacedName{Namespace: namespace, Name: name}
	}
	switch {
	case value == "":
		return types.NamespacedName{}, nil
	case o.GetNamespace() == "" && !qualified:
		return key, fmt.Errorf("read annotation %s: %w: a cluster-wide image names its Secret as namespace/name", SignedByAnnotation, ErrBadSecret)
	case o.GetNamespace() != "" && key.Namespace != o.GetNamespace():
		return key, fmt.Errorf("read annotation %s: %w: it names a Secret of another namespace; copy it to %s", SignedByAnnotation, ErrBadSecret, o.GetNamespace())
	}
	return key, nil
}

// TrustOf reads who must have signed an object's container image, besides those whom everybody's must be signed by.
func TrustOf(ctx context.Context, secrets client.Reader, o client.Object, everybody []signatures.Trust) ([]signatures.Trust, error) {
	key, err := SignedBy(o)
	if err != nil || key.Name == "" {
		return everybody, err
	}
	var secret corev1.Secret
	if err := secrets.Get(ctx, key, &secret); err != nil {
		return nil, fmt.Errorf("get Secret %s named by annotation %s: %w", key, SignedByAnnotation, err)
	}
	all := append([]signatures.Trust{}, everybody...)
	return append(all, secret.Data), nil
}
