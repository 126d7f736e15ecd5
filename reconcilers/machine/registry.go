package machine

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
)

// maxNameLength is how much of a machine's name fits before its UID.
const maxNameLength = 200

// pullSecretName is the Secret by which nodes pull a machine's images, empty
// when they need none.
func (e *engineer) pullSecretName(vm *v1alpha2.VirtualMachine) string {
	if e.registry.Address == "" {
		return ""
	}
	name := vm.Name[:min(len(vm.Name), maxNameLength)]
	return fmt.Sprintf("d8v-vm-pull-image-%s-%s", name, vm.UID)
}

// ensurePullSecret writes that Secret for a machine with images.
func (e *engineer) ensurePullSecret(ctx context.Context, s *scope) error {
	if !slices.ContainsFunc(s.devices, func(d device) bool { return d.PullSecret != "" }) {
		return nil
	}
	type entry struct {
		Username string `json:"username"`
		Password string `json:"password"`
	}
	login := e.registry.Login(s.vm.Namespace)
	config, err := json.Marshal(map[string]map[string]entry{
		"auths": {e.registry.Address: entry(login)},
	})
	if err != nil {
		return fmt.Errorf("encode registry credentials: %w", err)
	}
	secret := &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.vm.Namespace, Name: e.pullSecretName(s.vm), OwnerReferences: []metav1.OwnerReference{ownedBy(s.vm)},
		},
		Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: config},
	}
	if _, err := applyObject(ctx, e.client, secret); err != nil {
		return fmt.Errorf("apply Secret %s: %w", secret.Name, err)
	}
	return nil
}
