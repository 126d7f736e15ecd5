package source

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/sources/oci"
)

// BundleRemoteOf is the remote that an OCIRepository names, with the credentials of
// its Secrets and of its ServiceAccount. The reader should ask the API server:
// Secrets need no cache.
func BundleRemoteOf(ctx context.Context, reader client.Reader, repo *v1alpha1.OCIRepository) (oci.Remote, error) {
	remote := oci.Remote{URL: repo.Spec.URL, Insecure: repo.Spec.Insecure}
	if repo.Spec.Timeout != nil {
		remote.Timeout = repo.Spec.Timeout.Duration
	}
	var err error
	if remote.Logins, err = loginsOf(ctx, reader, repo); err != nil {
		return remote, err
	}
	if ref := repo.Spec.CertSecretRef; ref != nil {
		data, err := secretData(ctx, reader, repo.Namespace, ref.Name)
		if err != nil {
			return remote, err
		}
		if remote.TLS, err = oci.ParseTLS(data); err != nil {
			return remote, fmt.Errorf("use Secret %s: %w: %w", ref.Name, ErrCredentials, err)
		}
	}
	if ref := repo.Spec.ProxySecretRef; ref != nil {
		data, err := secretData(ctx, reader, repo.Namespace, ref.Name)
		if err != nil {
			return remote, err
		}
		proxy, err := proxyOf(data)
		if err != nil {
			return remote, fmt.Errorf("use Secret %s: %w", ref.Name, err)
		}
		remote.Proxy = oci.Proxy{URL: proxy.URL, Username: proxy.Username, Password: proxy.Password}
	}
	return remote, nil
}

// loginsOf reads the pull secrets that a repository and its ServiceAccount name.
func loginsOf(ctx context.Context, reader client.Reader, repo *v1alpha1.OCIRepository) ([]oci.Login, error) {
	var names []string
	if ref := repo.Spec.SecretRef; ref != nil {
		names = append(names, ref.Name)
	}
	if account := repo.Spec.ServiceAccountName; account != "" {
		sa := &corev1.ServiceAccount{}
		err := reader.Get(ctx, client.ObjectKey{Namespace: repo.Namespace, Name: account}, sa)
		switch {
		case apierrors.IsNotFound(err):
			return nil, fmt.Errorf("%w: there is no ServiceAccount %s in namespace %s; create it or correct spec.serviceAccountName", ErrCredentials, account, repo.Namespace)
		case err != nil:
			return nil, fmt.Errorf("read ServiceAccount %s/%s: %w", repo.Namespace, account, err)
		}
		for _, ref := range sa.ImagePullSecrets {
			names = append(names, ref.Name)
		}
	}
	var logins []oci.Login
	for _, name := range names {
		found, err := pullSecret(ctx, reader, repo.Namespace, name)
		if err != nil {
			return nil, err
		}
		logins = append(logins, found...)
	}
	return logins, nil
}

func pullSecret(ctx context.Context, reader client.Reader, namespace, name string) ([]oci.Login, error) {
	data, err := secretData(ctx, reader, namespace, name)
	if err != nil {
		return nil, err
	}
	config, found := data[corev1.DockerConfigJsonKey]
	if !found {
		return nil, fmt.Errorf("use Secret %s: %w: the key %s is missing; make it with `kubectl create secret docker-registry`", name, ErrCredentials, corev1.DockerConfigJsonKey)
	}
	logins, err := oci.ParseDockerConfig(config)
	if err != nil {
		return nil, fmt.Errorf("use Secret %s: %w: %w", name, ErrCredentials, err)
	}
	return logins, nil
}
