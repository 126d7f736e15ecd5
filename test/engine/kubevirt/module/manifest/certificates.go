package manifest

import (
	"crypto/tls"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/components"
	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/install"
)

// certificates are the Secrets of a strategy, filled.
type certificates struct {
	secrets []*corev1.Secret
	// authority is what API server, virt-api and virt-handler verify each other by; exports is that of exports.
	authority, exports []byte
}

// issue fills the Secrets as virt-operator does: two authorities, and from them a pair for each component.
func issue(strategy *install.Strategy, plan Plan) (certificates, error) {
	lifetime := &metav1.Duration{Duration: plan.Lifetime}
	authorities, err := issueAuthorities(strategy, lifetime)
	if err != nil {
		return certificates{}, err
	}
	issued := certificates{
		authority: authorities[components.KubeVirtCASecretName].Data[corev1.TLSCertKey],
		exports:   authorities[components.KubeVirtExportCASecretName].Data[corev1.TLSCertKey],
	}
	for _, secret := range strategy.CertificateSecrets() {
		if _, done := authorities[secret.Name]; !done {
			signer, err := load(authorities[signerOf(secret.Name)])
			if err != nil {
				return certificates{}, err
			}
			if err := components.PopulateSecretWithCertificate(secret, signer, lifetime); err != nil {
				return certificates{}, fmt.Errorf("issue certificate %s: %w", secret.Name, err)
			}
		}
		issued.secrets = append(issued.secrets, secret)
	}
	return issued, nil
}

func issueAuthorities(strategy *install.Strategy, lifetime *metav1.Duration) (map[string]*corev1.Secret, error) {
	authorities := map[string]*corev1.Secret{}
	for _, secret := range strategy.CertificateSecrets() {
		if secret.Name != components.KubeVirtCASecretName && secret.Name != components.KubeVirtExportCASecretName {
			continue
		}
		if err := components.PopulateSecretWithCertificate(secret, nil, lifetime); err != nil {
			return nil, fmt.Errorf("make authority %s: %w", secret.Name, err)
		}
		authorities[secret.Name] = secret
	}
	return authorities, nil
}

// signerOf names the authority of a component's certificate.
func signerOf(name string) string {
	if name == components.VirtExportProxyCertSecretName {
		return components.KubeVirtExportCASecretName
	}
	return components.KubeVirtCASecretName
}

func load(authority *corev1.Secret) (*tls.Certificate, error) {
	pair, err := components.LoadCertificates(authority)
	if err != nil {
		return nil, fmt.Errorf("load authority %s: %w", authority.Name, err)
	}
	return pair, nil
}

// bundles fills the ConfigMaps by which the components verify each other.
func (c certificates) bundles(strategy *install.Strategy) []*corev1.ConfigMap {
	var out []*corev1.ConfigMap
	seen := map[string]bool{}
	for _, bundle := range strategy.ConfigMaps() {
		// The generator lists its ConfigMaps twice.
		if seen[bundle.Name] {
			continue
		}
		seen[bundle.Name] = true
		switch bundle.Name {
		case components.KubeVirtCASecretName:
			bundle.Data = map[string]string{components.CABundleKey: string(c.authority)}
		case components.KubeVirtExportCASecretName:
			bundle.Data = map[string]string{components.CABundleKey: string(c.exports)}
		}
		out = append(out, bundle)
	}
	return out
}
