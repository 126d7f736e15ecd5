package manifest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	certificates "kubevirt.io/containerized-data-importer/pkg/operator/resources/cert"
	certutil "kubevirt.io/containerized-data-importer/pkg/util/cert"
	"kubevirt.io/containerized-data-importer/pkg/util/cert/triple"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	bundleKey     = "ca-bundle.crt"
	clusterDomain = "cluster.local"
)

// issue fills the Secrets and bundles that CDI's operator keeps filled: a signer each, and what is signed by it.
func issue(plan Plan) ([]client.Object, error) {
	var objects []client.Object
	for _, definition := range certificates.CreateCertificateDefinitions(&certificates.FactoryArgs{Namespace: plan.Namespace}) {
		filled, err := fill(definition, plan.Namespace)
		if err != nil {
			return nil, fmt.Errorf("issue certificates of %s: %w", definition.SignerSecret.Name, err)
		}
		objects = append(objects, filled...)
	}
	return objects, nil
}

func fill(definition certificates.CertificateDefinition, namespace string) ([]client.Object, error) {
	signer, err := triple.NewCA(definition.SignerSecret.Name)
	if err != nil {
		return nil, fmt.Errorf("make the signer: %w", err)
	}
	put(definition.SignerSecret, signer)
	definition.CertBundleConfigmap.Data = map[string]string{bundleKey: string(certutil.EncodeCertPEM(signer.Cert))}
	objects := []client.Object{definition.SignerSecret, definition.CertBundleConfigmap}
	if definition.TargetSecret == nil {
		return objects, nil
	}
	target, err := sign(signer, definition, namespace)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", definition.TargetSecret.Name, err)
	}
	put(definition.TargetSecret, target)
	return append(objects, definition.TargetSecret), nil
}

func sign(signer *triple.KeyPair, definition certificates.CertificateDefinition, namespace string) (*triple.KeyPair, error) {
	if definition.TargetService != nil {
		name := *definition.TargetService
		return triple.NewServerKeyPair(signer, name+"."+namespace, name, namespace, clusterDomain, nil, nil)
	}
	return triple.NewClientKeyPair(signer, *definition.TargetUser, nil)
}

func put(secret *corev1.Secret, pair *triple.KeyPair) {
	secret.Data = map[string][]byte{
		corev1.TLSCertKey:       certutil.EncodeCertPEM(pair.Cert),
		corev1.TLSPrivateKeyKey: certutil.EncodePrivateKeyPEM(pair.Key),
	}
}
