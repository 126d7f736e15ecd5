package source

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/sources/git"
)

// ErrCredentials says that a Secret with credentials is missing or malformed.
var ErrCredentials = errors.New("credentials cannot be used")

// RemoteOf is the remote that a GitRepository names, with the credentials of its
// Secrets. The reader should ask the API server: Secrets need no cache.
func RemoteOf(ctx context.Context, secrets client.Reader, repo *v1alpha1.GitRepository) (git.Remote, error) {
	remote := git.Remote{URL: repo.Spec.URL}
	if repo.Spec.Timeout != nil {
		remote.Timeout = repo.Spec.Timeout.Duration
	}
	if ref := repo.Spec.SecretRef; ref != nil {
		data, err := secretData(ctx, secrets, repo.Namespace, ref.Name)
		if err != nil {
			return remote, err
		}
		auth, err := git.ParseAuth(data, repo.Spec.URL)
		if err != nil {
			return remote, fmt.Errorf("use Secret %s: %w: %w", ref.Name, ErrCredentials, err)
		}
		remote.Auth = auth
	}
	if ref := repo.Spec.ProxySecretRef; ref != nil {
		data, err := secretData(ctx, secrets, repo.Namespace, ref.Name)
		if err != nil {
			return remote, err
		}
		proxy, err := proxyOf(data)
		if err != nil {
			return remote, fmt.Errorf("use Secret %s: %w", ref.Name, err)
		}
		remote.Proxy = proxy
	}
	return remote, nil
}

func proxyOf(data map[string][]byte) (git.Proxy, error) {
	address := string(data["address"])
	if address == "" {
		return git.Proxy{}, fmt.Errorf("%w: the key address is missing; set it to the URL of the proxy", ErrCredentials)
	}
	return git.Proxy{URL: address, Username: string(data["username"]), Password: string(data["password"])}, nil
}

func secretData(ctx context.Context, secrets client.Reader, namespace, name string) (map[string][]byte, error) {
	secret := &corev1.Secret{}
	err := secrets.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret)
	switch {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: there is no Secret %s in namespace %s; create it or correct the reference", ErrCredentials, name, namespace)
	case err != nil:
		return nil, fmt.Errorf("read Secret %s/%s: %w", namespace, name, err)
	}
	return secret.Data, nil
}
