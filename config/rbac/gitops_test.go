package rbac_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"slipway.dev/slipway/config/rbac"
	"slipway.dev/slipway/test/kubetest"
)

// TestKubernetesRolesHaveTheGitOpsKinds asks a real API server what people who are
// bound to its own roles may do.
func TestKubernetesRolesHaveTheGitOpsKinds(t *testing.T) {
	c, err := client.New(kubetest.Start(t), client.Options{Scheme: clientgoscheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	namespace := kubetest.Namespace(t, c)
	file, err := rbac.Files.ReadFile("gitops.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range bytes.Split(file, []byte("\n---\n")) {
		role := &rbacv1.ClusterRole{}
		if err := yaml.UnmarshalStrict(doc, role); err != nil {
			t.Fatal(err)
		}
		if err := client.IgnoreAlreadyExists(c.Create(ctx, role)); err != nil {
			t.Fatal(err)
		}
	}
	for _, role := range []string{"view", "edit", "admin"} {
		binding := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: "User", Name: "one-who-may-" + role}},
		}
		if err := c.Create(ctx, binding); err != nil {
			t.Fatal(err)
		}
	}
	may := func(role, verb, resource string) bool {
		t.Helper()
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "one-who-may-" + role,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Group: "gitops.slipway.dev", Resource: resource, Verb: verb},
		}}
		if err := c.Create(ctx, review); err != nil {
			t.Fatal(err)
		}
		return review.Status.Allowed
	}
	for !may("admin", "delete", "environments") || !may("view", "get", "environments") { // the roles are put together meanwhile
		if ctx.Err() != nil {
			t.Fatal("the rights did not come to admin and view")
		}
	}
	for name, test := range map[string]struct {
		role, verb, resource string
		want                 bool
	}{
		"a viewer sees environments":     {"view", "list", "environments", true},
		"a viewer sees sources":          {"view", "watch", "ocirepositories", true},
		"a viewer changes nothing":       {"view", "patch", "gitrepositories", false},
		"a viewer learns no path":        {"view", "get", "receivers", false},
		"an editor writes environments":  {"edit", "create", "environments", true},
		"an editor writes receivers":     {"edit", "update", "receivers", true},
		"an editor sees":                 {"edit", "get", "gitrepositories", true},
		"an admin removes":               {"admin", "delete", "gitrepositories", true},
		"nobody writes the status":       {"admin", "update", "environments/status", false},
		"nobody who is bound to nothing": {"nothing", "get", "environments", false},
	} {
		if got := may(test.role, test.verb, test.resource); got != test.want {
			t.Errorf("%s: allowed = %v, want %v", name, got, test.want)
		}
	}
}
