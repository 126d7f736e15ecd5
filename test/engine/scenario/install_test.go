//go:build e2e

package scenario

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"slipway.dev/slipway/test/e2e/scenario"
	"slipway.dev/slipway/test/engine/apply"
)

const system = "slipway-system"

// overlay is what a user of config/default adds: images, and a smaller volume.
const overlay = `resources: [%s]
sortOptions: {order: legacy}
images:
- {name: slipway-controller, newName: localhost/slipway-controller, newTag: engine}
- {name: slipway-dvcr, newName: localhost/slipway-dvcr, newTag: engine}
patches:
- target: {kind: StatefulSet, name: slipway-dvcr}
  patch: |-
    - {op: replace, path: /spec/volumeClaimTemplates/0/spec/resources/requests/storage, value: 2Gi}
`

// install applies config/default and waits until Slipway answers.
func (p *platform) install(t *testing.T) {
	t.Helper()
	config, err := p.layout.RESTConfig()
	scenario.Must(t, err)
	applier, err := apply.New(config)
	scenario.Must(t, err)
	if !p.hasDummyLinks(t) {
		scenario.Must(t, applier.ApplyFiles(t.Context(), bridgePolicy))
	}
	scenario.Must(t, applier.Apply(t.Context(), apply.Stage{Name: "slipway", Objects: rendered(t)}))
	scenario.Eventually(t, scenario.Patience, "DVCR is ready", func(ctx context.Context) error {
		set := &appsv1.StatefulSet{}
		if err := p.client.Get(ctx, client.ObjectKey{Namespace: system, Name: "slipway-dvcr"}, set); err != nil {
			return err
		}
		return all(set.Status.ReadyReplicas, set.Spec.Replicas)
	})
	scenario.Eventually(t, scenario.Patience, "the controllers are ready", func(ctx context.Context) error {
		deployment := &appsv1.Deployment{}
		if err := p.client.Get(ctx, client.ObjectKey{Namespace: system, Name: "slipway-controller"}, deployment); err != nil {
			return err
		}
		return all(deployment.Status.ReadyReplicas, deployment.Spec.Replicas)
	})
	p.trustRegistry(t)
}

func all(ready int32, wanted *int32) error {
	if ready != ptr.Deref(wanted, 1) {
		return fmt.Errorf("%d replicas are ready", ready)
	}
	return nil
}

// bridgePolicy stands in for a kernel's dummy links.
//
//go:embed bridge.yaml
var bridgePolicy embed.FS

// hasDummyLinks tries to make one in the node.
func (p *platform) hasDummyLinks(t *testing.T) bool {
	t.Helper()
	cmd, err := p.layout.Enter(p.nodes[0], "sh", "-c", "ip link add slipway-try type dummy && ip link del slipway-try")
	scenario.Must(t, err)
	return cmd.Run() == nil
}

// rendered is config/default under the overlay.
func rendered(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	source, err := filepath.Abs("../../../config/default")
	scenario.Must(t, err)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	scenario.Must(t, err)
	relative, err := filepath.Rel(dir, source)
	scenario.Must(t, err)
	scenario.Must(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), fmt.Appendf(nil, overlay, relative), 0o600))
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	scenario.Must(t, err)
	var objects []*unstructured.Unstructured
	for _, r := range built.Resources() {
		text, err := r.MarshalJSON()
		scenario.Must(t, err)
		object := &unstructured.Unstructured{}
		scenario.Must(t, object.UnmarshalJSON(text))
		objects = append(objects, object)
	}
	return objects
}

// trustRegistry has the nodes' container runtime trust DVCR, as an administrator has to.
func (p *platform) trustRegistry(t *testing.T) {
	t.Helper()
	secret := &corev1.Secret{}
	scenario.Must(t, p.client.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "slipway-dvcr-certificate"}, secret))
	const host = "slipway-dvcr.slipway-system.svc:5000"
	hosts := fmt.Sprintf("server = \"https://%[1]s\"\n[host.\"https://%[1]s\"]\n  ca = \"/etc/containerd/certs.d/%[1]s/ca.crt\"\n", host)
	for _, node := range p.nodes {
		dir := filepath.Join(p.layout.Root(node), "etc/containerd/certs.d", host)
		scenario.Must(t, os.MkdirAll(dir, 0o755))
		scenario.Must(t, os.WriteFile(filepath.Join(dir, "ca.crt"), secret.Data["ca.crt"], 0o644))
		scenario.Must(t, os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(hosts), 0o644))
	}
}

// tenant makes the scenario.Namespace in which the demo runs, and the ServiceAccount that its Environment applies as.
func (p *platform) tenant(t *testing.T) {
	t.Helper()
	p.ensure(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: scenario.Namespace}})
	p.ensure(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Namespace, Name: "tenant"}})
	subject := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: scenario.Namespace, Name: "tenant"}}
	for _, role := range []string{"slipway:admin", "edit"} {
		p.ensure(t, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: scenario.Namespace, Name: "tenant:" + role}, Subjects: subject,
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		})
	}
	p.ensure(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "tenant:" + scenario.Namespace}, Subjects: subject,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "slipway:user"},
	})
}

func (p *platform) ensure(t *testing.T, object client.Object) {
	t.Helper()
	scenario.Must(t, client.IgnoreAlreadyExists(p.client.Create(t.Context(), object)))
}
