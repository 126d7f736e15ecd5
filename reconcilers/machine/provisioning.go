package machine

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmcondition"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// secretForms are the Secret types of first-boot data and the keys of which one
// must be there.
var secretForms = map[v1alpha2.ProvisioningType]struct {
	secretType corev1.SecretType
	keys       []string
}{
	v1alpha2.ProvisioningTypeUserDataRef: {v1alpha2.SecretTypeCloudInit, []string{"userData", "userdata"}},
	v1alpha2.ProvisioningTypeSysprepRef:  {v1alpha2.SecretTypeSysprep, []string{"unattend.xml", "autounattend.xml"}},
}

// resolveProvisioning checks that the Secret with first-boot data can be used.
// The data itself is never read into an object.
func (e *engineer) resolveProvisioning(ctx context.Context, s *scope) flow.Outcome {
	p := s.vm.Spec.Provisioning
	name := provisioningSecret(p)
	if name == "" {
		s.provisioningReady = ready(vmcondition.ProvisioningReady, "")
		return flow.Done()
	}
	secret, err := find(ctx, e.secrets, client.ObjectKey{Namespace: s.vm.Namespace, Name: name}, &corev1.Secret{})
	if err != nil {
		return flow.Fail(reasonReading, err)
	}
	s.provisioningReady = judgeSecret(p.Type, name, secret)
	return flow.Done()
}

// provisioningSecret is the name of the Secret with first-boot data, empty when
// there is none.
func provisioningSecret(p *v1alpha2.Provisioning) string {
	switch {
	case p == nil:
		return ""
	case p.Type == v1alpha2.ProvisioningTypeUserDataRef && p.UserDataRef != nil:
		return p.UserDataRef.Name
	case p.Type == v1alpha2.ProvisioningTypeSysprepRef && p.SysprepRef != nil:
		return p.SysprepRef.Name
	default:
		return ""
	}
}

func judgeSecret(form v1alpha2.ProvisioningType, name string, secret *corev1.Secret) readiness {
	want := secretForms[form]
	no := func(format string, args ...any) readiness {
		return notReady(vmcondition.ProvisioningNotReady, fmt.Sprintf(format, args...))
	}
	if secret == nil {
		return no("Secret %q does not exist: create it with type %s", name, want.secretType)
	}
	if secret.Type != want.secretType {
		return no("Secret %q has type %s: create it anew with type %s", name, secret.Type, want.secretType)
	}
	for _, key := range want.keys {
		if len(secret.Data[key]) > 0 {
			return ready(vmcondition.ProvisioningReady, "")
		}
	}
	return no("Secret %q has no key %s: add it", name, strings.Join(want.keys, " or "))
}
