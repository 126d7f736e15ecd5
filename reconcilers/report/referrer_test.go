package report

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
	"slipway.dev/slipway/sources/oci"
	"slipway.dev/slipway/test/bundle"
)

// bundleWorld is a bundle in a real registry and the Environment that runs it.
type bundleWorld struct {
	*world
	registry *bundle.Registry
	digest   string
	env      *v1alpha1.Environment
	secret   *corev1.Secret
}

func newBundleWorld(t *testing.T) *bundleWorld {
	t.Helper()
	r := bundle.NewRegistry(t)
	b := &bundleWorld{registry: r, digest: r.Push("v1", "one").Digest.String()}
	b.secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "login"}, Data: map[string][]byte{corev1.DockerConfigJsonKey: r.DockerConfig(r.Server.Addr(), r.Server.Credentials())}}
	repo := &v1alpha1.OCIRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vms"}, Spec: v1alpha1.OCIRepositorySpec{URL: r.URL, Insecure: true, SecretRef: &v1alpha1.LocalObjectReference{Name: "login"}}}
	b.env = environment("prod", v1alpha1.SucceededReason, metav1.ConditionTrue)
	b.env.Spec.SourceRef.Kind = v1alpha1.OCIRepositoryKind
	b.env.Status.LastAttemptedRevision, b.env.Status.LastAppliedRevision = "v1@"+b.digest, "v1@"+b.digest
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	b.world = &world{clock: clocktesting.NewFakePassiveClock(now), events: &flowtest.Recorder{}}
	b.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(b.env, repo, b.secret).WithStatusSubresource(&v1alpha1.Environment{}).Build()
	health := &reconciler{reader: b.client, secrets: b.client, registries: r.Clients, clock: b.clock}
	b.engine = flow.New(health.definition(), flow.Deps{Client: b.client, Recorder: b.events, Clock: b.clock})
	return b
}

func (b *bundleWorld) attached(t *testing.T) []string {
	t.Helper()
	found, err := b.registry.Repository.Attached(t.Context(), b.digest, ArtifactType)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, a := range found {
		texts = append(texts, string(a.Text))
	}
	return texts
}

func TestBundleCarriesItsHealth(t *testing.T) {
	b := newBundleWorld(t)
	for range 3 {
		if _, err := flowtest.Reconcile(t, b.client, b.engine, b.env); err != nil {
			t.Fatal(err)
		}
		b.clock.SetTime(b.clock.Now().Add(time.Minute))
	}
	want := []string{"- counts:\n    degraded: 0\n    healthy: 3\n    progressing: 0\n    suspended: 0\n    total: 3\n  environment: team/prod\n  health: Healthy\n  message: it says so\n  reason: Succeeded\n  revision: v1@" + b.digest + "\n  time: \"2026-05-01T12:00:00Z\"\n"}
	if diff := cmp.Diff(want, b.attached(t)); diff != "" {
		t.Errorf("attached (-want +got):\n%s", diff)
	}

	// Another cluster writes of its own; both stand there from then on.
	other := oci.Attachment{Type: ArtifactType, Created: "2026-05-01T12:01:00Z", Text: []byte("- environment: far/away\n  health: Degraded\n  revision: v1@" + b.digest + "\n")}
	if err := b.registry.Repository.Attach(t.Context(), b.digest, other, nil); err != nil {
		t.Fatal(err)
	}
	b.env.Status.Conditions[0].Reason, b.env.Status.Conditions[0].Status = v1alpha1.DegradedReason, metav1.ConditionFalse
	if err := b.client.Status().Update(t.Context(), b.env); err != nil {
		t.Fatal(err)
	}
	if _, err := flowtest.Reconcile(t, b.client, b.engine, b.env); err != nil {
		t.Fatal(err)
	}
	texts := b.attached(t)
	if len(texts) != 1 || strings.Count(texts[0], "environment:") != 2 || strings.Count(texts[0], "health: Degraded") != 2 {
		t.Errorf("attached: %q, want one document that tells of both", texts)
	}
	if c := meta.FindStatusCondition(b.env.Status.Conditions, v1alpha1.ReportedCondition); c == nil || c.Status != metav1.ConditionTrue {
		t.Errorf("Reported = %+v", c)
	}
}

func TestRegistryThatTakesNoHealth(t *testing.T) {
	b := newBundleWorld(t)
	wrong := registry.Credentials{Username: "somebody", Password: "wr0ng-password"}
	b.secret.Data[corev1.DockerConfigJsonKey] = b.registry.DockerConfig(b.registry.Server.Addr(), wrong)
	if err := b.client.Update(t.Context(), b.secret); err != nil {
		t.Fatal(err)
	}
	result, err := flowtest.Reconcile(t, b.client, b.engine, b.env)
	if err != nil || result.RequeueAfter != deniedRetry {
		t.Errorf("= %+v, %v; want another try in %s", result, err, deniedRetry)
	}
	c := meta.FindStatusCondition(b.env.Status.Conditions, v1alpha1.ReportedCondition)
	if c == nil || c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReportFailedReason || !strings.Contains(c.Message, "give the credentials of OCIRepository vms the right to push") {
		t.Errorf("Reported = %+v", c)
	}
	if strings.Contains(c.Message, "wr0ng") {
		t.Errorf("the message holds the password: %s", c.Message)
	}
}
