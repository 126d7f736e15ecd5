package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"slipway.dev/slipway/dvcr/registry"
)

// Names of the Secrets, and of the key in the first.
const (
	KeySecret         = "slipway-dvcr-key"
	CertificateSecret = "slipway-dvcr-certificate"
	keyEntry          = "key"
)

// Keeper keeps the Secrets. Client should read past a cache.
type Keeper struct {
	Client    client.Client
	Namespace string
	// Host is DVCR's name in the certificate.
	Host  string
	Clock clock.Clock

	authority []byte // as Ensure found it
}

// Ring is what the Secrets hold for the controllers.
type Ring struct {
	Key registry.Key
	// Authority by which DVCR is trusted, PEM; empty means the system's authorities.
	Authority []byte
}

// Ensure makes what is missing, and returns what is there.
func (k *Keeper) Ensure(ctx context.Context) (Ring, error) {
	key, err := k.Key(ctx)
	if err != nil {
		return Ring{}, err
	}
	k.authority, err = k.certificate(ctx)
	return Ring{Key: key, Authority: k.authority}, err
}

// Key makes the key when it is missing, and returns it.
func (k *Keeper) Key(ctx context.Context) (registry.Key, error) {
	data, err := k.settle(ctx, KeySecret, func(data map[string][]byte) (map[string][]byte, error) {
		if len(data[keyEntry]) > 0 {
			return nil, nil
		}
		return map[string][]byte{keyEntry: registry.NewKey()}, nil
	})
	if err != nil {
		return nil, err
	}
	key := registry.Key(bytes.TrimSpace(data[keyEntry]))
	if err := key.Check(); err != nil {
		return nil, fmt.Errorf("read Secret %s/%s: %w; empty it to have one made", k.Namespace, KeySecret, err)
	}
	return key, nil
}

// certificate sees to the certificate, and returns its authority.
func (k *Keeper) certificate(ctx context.Context) ([]byte, error) {
	data, err := k.settle(ctx, CertificateSecret, func(data map[string][]byte) (map[string][]byte, error) {
		what, err := needs(data, k.Host, k.Clock.Now())
		if err != nil || what == nothing {
			return nil, err
		}
		return renew(data, what, k.Host, k.Clock.Now())
	})
	return data[authorityCertificate], err
}

// settle reads a Secret, has a decider say what is to be added, and writes that. Whoever is second takes the first one's.
func (k *Keeper) settle(ctx context.Context, name string, decide func(map[string][]byte) (map[string][]byte, error)) (map[string][]byte, error) {
	var held map[string][]byte
	lost := func(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }
	err := retry.OnError(retry.DefaultBackoff, lost, func() error {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: name}}
		err := k.Client.Get(ctx, client.ObjectKeyFromObject(secret), secret)
		if client.IgnoreNotFound(err) != nil {
			return err //nolint:wrapcheck // wrapped below
		}
		absent := apierrors.IsNotFound(err)
		added, err := decide(secret.Data)
		held = secret.Data
		if err != nil || added == nil {
			return err
		}
		secret.Data, held = added, added
		if absent {
			return k.Client.Create(ctx, secret) //nolint:wrapcheck // wrapped below
		}
		return k.Client.Update(ctx, secret) //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("keep Secret %s/%s: %w", k.Namespace, name, err)
	}
	return held, nil
}

// often is how often the certificate is looked at.
const often = 12 * time.Hour

// ErrAuthorityChanged says that this process trusts DVCR by an authority that is not DVCR's any more: start it anew.
var ErrAuthorityChanged = errors.New("DVCR's certificate is from another authority now; start anew to trust it")

// NeedLeaderElection implements manager.LeaderElectionRunnable: each replica looks, for it has to trust DVCR.
func (k *Keeper) NeedLeaderElection() bool { return false }

// Start renews the certificate in time, until ctx ends or the authority is another one. It implements manager.Runnable.
func (k *Keeper) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.Clock.After(often):
		}
		authority, err := k.certificate(ctx)
		if err != nil {
			log.FromContext(ctx).WithName("keyring").Error(err, "DVCR's certificate was not looked at")
			continue
		}
		if !bytes.Equal(authority, k.authority) {
			return ErrAuthorityChanged
		}
	}
}
