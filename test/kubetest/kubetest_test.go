package kubetest_test

import (
	"context"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/kube"
	"slipway.dev/slipway/test/kubetest"
)

// patience bounds a wait for something that normally takes a moment.
const patience = 5 * time.Minute

type fixture struct {
	config    *rest.Config
	clients   kubernetes.Interface
	namespace string
}

func setUp(t *testing.T, crdDirs ...string) fixture {
	t.Helper()
	config := kubetest.Start(t, crdDirs...)
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{config: config, clients: kubernetes.NewForConfigOrDie(config), namespace: kubetest.Namespace(t, c)}
}

func TestServerReportsItsVersion(t *testing.T) {
	version, err := setUp(t).clients.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.GitVersion != kube.KubernetesVersion {
		t.Errorf("version %s, want %s", version.GitVersion, kube.KubernetesVersion)
	}
}

func TestServiceAccountHasOnlyGrantedRights(t *testing.T) {
	f := setUp(t)
	tenant := f.serviceAccount(t, "tenant")

	_, err := tenant.CoreV1().ConfigMaps(f.namespace).List(t.Context(), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) {
		t.Fatalf("list without rights: %v, want Forbidden", err)
	}

	f.grant(t, "tenant", "view")
	until(t, "the grant is in effect", func(ctx context.Context) bool {
		_, err = tenant.CoreV1().ConfigMaps(f.namespace).List(ctx, metav1.ListOptions{})
		return !apierrors.IsForbidden(err)
	})
	if err != nil {
		t.Fatalf("list with the view role: %v", err)
	}
	_, err = tenant.CoreV1().ConfigMaps(f.namespace).Create(t.Context(), configMap("x"), metav1.CreateOptions{})
	if !apierrors.IsForbidden(err) {
		t.Errorf("create with the view role: %v, want Forbidden", err)
	}
}

func TestNamespaceDeletionCompletes(t *testing.T) {
	f := setUp(t)
	if _, err := f.clients.CoreV1().ConfigMaps(f.namespace).Create(t.Context(), configMap("content"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	namespaces := f.clients.CoreV1().Namespaces()
	if err := namespaces.Delete(t.Context(), f.namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the namespace is gone", func(ctx context.Context) bool {
		_, err := namespaces.Get(ctx, f.namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func TestOwnedObjectIsCollected(t *testing.T) {
	f := setUp(t)
	configMaps := f.clients.CoreV1().ConfigMaps(f.namespace)
	owner, err := configMaps.Create(t.Context(), configMap("owner"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	owned := configMap("owned")
	owned.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID}}
	if _, err := configMaps.Create(t.Context(), owned, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := configMaps.Delete(t.Context(), owner.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the owned object is gone", func(ctx context.Context) bool {
		_, err := configMaps.Get(ctx, owned.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func TestUnusedClaimCanBeDeleted(t *testing.T) {
	f := setUp(t)
	claims := f.clients.CoreV1().PersistentVolumeClaims(f.namespace)
	claim := &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "disk"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}},
		},
	}
	created, err := claims.Create(t.Context(), claim, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(created.Finalizers) == 0 {
		t.Error("default admission put no finalizer on the claim")
	}
	if err := claims.Delete(t.Context(), claim.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the claim is gone", func(ctx context.Context) bool {
		_, err := claims.Get(ctx, claim.Name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func TestInstalledDefinitionIsServed(t *testing.T) {
	f := setUp(t, "testdata")
	resources, err := f.clients.Discovery().ServerResourcesForGroupVersion("kubetest.slipway.dev/v1")
	if err != nil {
		t.Fatal(err)
	}
	if len(resources.APIResources) != 1 || resources.APIResources[0].Kind != "Berth" {
		t.Errorf("served %v, want one Berth", resources.APIResources)
	}
}

// until waits for what a controller in the server does: it asks again, because
// there is no other way to know.
func until(t *testing.T, what string, done func(context.Context) bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		return done(ctx), nil
	})
	if err != nil {
		t.Fatalf("wait until %s: %v", what, err)
	}
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// serviceAccount creates a service account and returns a client that
// authenticates as it, with a token of its own.
func (f fixture) serviceAccount(t *testing.T, name string) kubernetes.Interface {
	t.Helper()
	accounts := f.clients.CoreV1().ServiceAccounts(f.namespace)
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	request, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(f.config)
	config.BearerToken = request.Status.Token
	return kubernetes.NewForConfigOrDie(config)
}

func (f fixture) grant(t *testing.T, account, role string) {
	t.Helper()
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: f.namespace, Name: account}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}
	if _, err := f.clients.RbacV1().RoleBindings(f.namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
