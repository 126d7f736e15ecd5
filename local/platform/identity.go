package platform

import (
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/config/rbac"
	"slipway.dev/slipway/local/node"
)

// tokenLife is longer than any run of the platform; the token dies with its ServiceAccount and is kept in memory only.
const tokenLife = 365 * 24 * time.Hour

// controllersConfig is how the controllers reach the control plane: as their own ServiceAccount with the rights that they
// have in a cluster, and those of the engine. What they may not do there fails here too.
func (p *Platform) controllersConfig(ctx context.Context) (*rest.Config, error) {
	if err := p.applyControllerAccount(ctx); err != nil {
		return nil, err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: rbac.ControllerNamespace, Name: rbac.ControllerAccount}}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64(tokenLife / time.Second))}}
	if err := p.client.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, fmt.Errorf("get a token of ServiceAccount %s: %w", client.ObjectKeyFromObject(account), err)
	}
	config := rest.AnonymousClientConfig(p.plane.Config())
	config.BearerToken = request.Status.Token
	// Over loopback a connection for each watch costs less than the frames and windows of HTTP/2 do: a tenth of the
	// CPU of an unchanged reconcile.
	config.NextProtos = []string{"http/1.1"}
	return config, nil
}

func (p *Platform) applyControllerAccount(ctx context.Context) error {
	if err := apply(ctx, p.client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: rbac.ControllerNamespace}}); err != nil {
		return err
	}
	if err := applyFiles(ctx, p.client, rbac.Controller); err != nil {
		return err
	}
	if err := applyFiles(ctx, p.client, node.Roles); err != nil {
		return err
	}
	return apply(ctx, p.client, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: node.RoleName},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: node.RoleName},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: rbac.ControllerAccount, Namespace: rbac.ControllerNamespace}},
	})
}
