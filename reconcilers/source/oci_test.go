package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/dvcr/registry"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/internal/signatures/cosign"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
	"slipway.dev/slipway/sources/oci"
	"slipway.dev/slipway/sources/store"
	"slipway.dev/slipway/test/bundle"
)

// bundleWorld is an OCIRepository, a real registry and a real store.
type bundleWorld struct {
	*bundle.Registry
	client client.Client
	store  *store.Store
	clock  *clocktesting.FakePassiveClock
	events *flowtest.Recorder
	engine *flow.Reconciler[*v1alpha1.OCIRepository, *bundleScope]
	repo   *v1alpha1.OCIRepository
}

func dockerSecret(name string, config []byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Data: map[string][]byte{corev1.DockerConfigJsonKey: config}}
}

func newBundleWorld(t *testing.T, spec v1alpha1.OCIRepositorySpec, others ...client.Object) *bundleWorld {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	w := &bundleWorld{Registry: bundle.NewRegistry(t), events: &flowtest.Recorder{}, clock: clocktesting.NewFakePassiveClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))}
	spec.URL, spec.Insecure = w.URL, true
	if spec.SecretRef == nil && spec.ServiceAccountName == "" {
		spec.SecretRef = &v1alpha1.LocalObjectReference{Name: "login"}
	}
	w.repo = &v1alpha1.OCIRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vms", Generation: 1}, Spec: spec}
	others = append(others, dockerSecret("login", w.DockerConfig(w.Server.Addr(), w.Server.Credentials())), w.repo)
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(others...).WithStatusSubresource(&v1alpha1.GitRepository{}, &v1alpha1.OCIRepository{}).Build()
	var err error
	if w.store, err = store.Open(t.TempDir(), store.WithClock(w.clock)); err != nil {
		t.Fatal(err)
	}
	r := &reconciler{reader: w.client, secrets: w.client, store: w.store, egress: egress.Policy{Allow: egress.Loopback}, clock: w.clock, spread: func(d time.Duration) time.Duration { return d }}
	b := &bundles{reconciler: r, registries: w.Clients}
	w.engine = flow.New(b.definition(), flow.Deps{Client: w.client, Recorder: w.events, Clock: w.clock})
	return w
}

func (w *bundleWorld) run() (ctrl.Result, error) {
	w.Helper()
	return flowtest.Reconcile(w.T, w.client, w.engine, w.repo)
}

func (w *bundleWorld) mustRun() {
	w.Helper()
	if _, err := w.run(); err != nil {
		w.Fatal(err)
	}
}

func (w *bundleWorld) condition(kind string) metav1.Condition {
	c := meta.FindStatusCondition(w.repo.Status.Conditions, kind)
	if c == nil {
		return metav1.Condition{}
	}
	return *c
}

func (w *bundleWorld) content() string {
	w.Helper()
	tree, err := w.store.Tree(w.repo.Status.Artifact.Digest)
	if err != nil {
		w.Fatal(err)
	}
	content, err := fs.ReadFile(tree, "vm.yaml")
	if err != nil {
		w.Fatal(err)
	}
	return string(content)
}

func TestBundleArtifact(t *testing.T) {
	w := newBundleWorld(t, v1alpha1.OCIRepositorySpec{Interval: metav1.Duration{Duration: 3 * time.Minute}, Reference: &v1alpha1.OCIReference{Tag: "v1"}})
	pushed := w.Push("v1", "one")
	result, err := w.run()
	if err != nil || result.RequeueAfter != 3*time.Minute {
		t.Fatalf("result = %+v, %v", result, err)
	}
	a := w.repo.Status.Artifact
	if a == nil || a.Revision != "v1@"+pushed.Digest.String() || a.Size != 3 || w.content() != "one" {
		t.Fatalf("artifact = %+v", a)
	}
	if diff := cmp.Diff(map[string]string{ocispec.AnnotationRevision: "main@sha1:one"}, a.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if ready := w.condition(v1alpha1.ReadyCondition); ready.Status != metav1.ConditionTrue {
		t.Errorf("Ready = %+v", ready)
	}
	if diff := cmp.Diff([]string{"Normal ArtifactUpdated stored " + a.Revision + " (3 bytes)"}, w.events.Drain()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestBundleIsPulledOnlyWhenItsDigestMoves(t *testing.T) {
	w := newBundleWorld(t, v1alpha1.OCIRepositorySpec{Reference: &v1alpha1.OCIReference{SemVer: "1.x"}})
	w.Push("1.0.0", "one")
	w.mustRun()
	steps := []struct {
		name    string
		change  func()
		pulled  bool
		content string
		tag     string
	}{
		{"nothing moved", func() {}, false, "one", "1.0.0"},
		{"another tag of the same digest", func() { w.Push("1.1.0", "one") }, false, "one", "1.1.0"},
		{"a newer version", func() { w.Push("1.2.0", "two") }, true, "two", "1.2.0"},
		{"other files are wanted", func() {
			w.repo.Spec.Ignore = new(string)
			if err := w.client.Update(t.Context(), w.repo); err != nil {
				t.Fatal(err)
			}
		}, true, "two", "1.2.0"},
		{"the store lost the tree", func() {
			w.clock.SetTime(w.clock.Now().Add(time.Hour))
			if _, err := w.store.Keep(); err != nil {
				t.Fatal(err)
			}
		}, true, "two", "1.2.0"},
		{"and stands still", func() {}, false, "two", "1.2.0"},
	}
	for _, step := range steps {
		w.events.Drain()
		step.change()
		w.mustRun()
		if pulled := len(w.events.Drain()) > 0; pulled != step.pulled {
			t.Errorf("%s: pulled %v, want %v", step.name, pulled, step.pulled)
		}
		if got := w.repo.Status.Artifact.Revision; w.content() != step.content || !strings.HasPrefix(got, step.tag+"@") {
			t.Errorf("%s: %s with %q", step.name, got, w.content())
		}
	}
}

func TestBundleTreesOfGitStay(t *testing.T) {
	w := newBundleWorld(t, v1alpha1.OCIRepositorySpec{})
	digest, _, err := w.store.PutWithSize(t.Context(), fstest.MapFS{"a": {Data: []byte("git")}})
	if err != nil {
		t.Fatal(err)
	}
	git := &v1alpha1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "git"}, Status: v1alpha1.GitRepositoryStatus{Artifact: &v1alpha1.Artifact{Digest: digest}}}
	if err := w.client.Create(t.Context(), git); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Status().Update(t.Context(), git); err != nil {
		t.Fatal(err)
	}
	w.clock.SetTime(w.clock.Now().Add(time.Hour))
	w.Push("latest", "one")
	w.mustRun()
	if _, err := w.store.Tree(digest); err != nil {
		t.Errorf("the tree of a GitRepository: %v", err)
	}
}

func TestBundleCredentials(t *testing.T) {
	named := func(name string) *v1alpha1.LocalObjectReference { return &v1alpha1.LocalObjectReference{Name: name} }
	object := metav1.ObjectMeta{Namespace: "team", Name: "other"}
	tests := map[string]struct {
		spec   v1alpha1.OCIRepositorySpec
		others []client.Object
		reason string
		text   string
	}{
		"a Secret": {v1alpha1.OCIRepositorySpec{}, nil, v1alpha1.SucceededReason, ""},
		"a ServiceAccount's pull secrets": {
			v1alpha1.OCIRepositorySpec{ServiceAccountName: "other"},
			[]client.Object{&corev1.ServiceAccount{ObjectMeta: object, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "login"}}}},
			v1alpha1.SucceededReason, "",
		},
		"a ServiceAccount without any": {
			v1alpha1.OCIRepositorySpec{ServiceAccountName: "other"}, []client.Object{&corev1.ServiceAccount{ObjectMeta: object}}, v1alpha1.AuthenticationFailedReason, "wants credentials",
		},
		"no such ServiceAccount": {v1alpha1.OCIRepositorySpec{ServiceAccountName: "gone"}, nil, v1alpha1.AuthenticationFailedReason, "there is no ServiceAccount gone"},
		"no such Secret":         {v1alpha1.OCIRepositorySpec{SecretRef: named("gone")}, nil, v1alpha1.AuthenticationFailedReason, "there is no Secret gone"},
		"another kind of Secret": {v1alpha1.OCIRepositorySpec{SecretRef: named("other")}, []client.Object{&corev1.Secret{ObjectMeta: object}}, v1alpha1.AuthenticationFailedReason, "kubectl create secret docker-registry"},
		"certificates that are none": {
			v1alpha1.OCIRepositorySpec{CertSecretRef: named("other")},
			[]client.Object{&corev1.Secret{ObjectMeta: object, Data: map[string][]byte{"ca.crt": []byte("s3cr3t")}}},
			v1alpha1.AuthenticationFailedReason, "ca.crt holds no certificate",
		},
		"a proxy without an address": {v1alpha1.OCIRepositorySpec{ProxySecretRef: named("other")}, []client.Object{&corev1.Secret{ObjectMeta: object}}, v1alpha1.AuthenticationFailedReason, "the key address is missing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newBundleWorld(t, test.spec, test.others...)
			w.Push("latest", "one")
			_, _ = w.run()
			ready := w.condition(v1alpha1.ReadyCondition)
			if ready.Reason != test.reason || !strings.Contains(ready.Message, test.text) || strings.Contains(ready.Message, "s3cr3t") {
				t.Errorf("Ready = %s %q, want %s with %q", ready.Reason, ready.Message, test.reason, test.text)
			}
		})
	}
}

func TestBundleFailuresKeepTheArtifact(t *testing.T) {
	w := newBundleWorld(t, v1alpha1.OCIRepositorySpec{Reference: &v1alpha1.OCIReference{Tag: "v1"}})
	w.Push("v1", "one")
	w.mustRun()
	w.events.Drain()
	artifact := w.repo.Status.Artifact.DeepCopy()
	w.repo.Spec.Reference.Tag = "gone"
	if err := w.client.Update(t.Context(), w.repo); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.run(); err == nil {
			t.Error("the failure is not retried")
		}
	}
	if ready := w.condition(v1alpha1.ReadyCondition); ready.Status != metav1.ConditionFalse || ready.Reason != v1alpha1.ReferenceNotFoundReason {
		t.Errorf("Ready = %+v", ready)
	}
	if diff := cmp.Diff(artifact, w.repo.Status.Artifact); diff != "" {
		t.Errorf("artifact (-want +got):\n%s", diff)
	}
	if events := w.events.Drain(); len(events) != 1 {
		t.Errorf("events = %q, want one warning", events)
	}
	w.Push("gone", "two")
	w.mustRun()
	if w.content() != "two" {
		t.Error("it does not heal")
	}
}

func TestBundleSuspend(t *testing.T) {
	w := newBundleWorld(t, v1alpha1.OCIRepositorySpec{Suspend: true})
	w.mustRun()
	if ready := w.condition(v1alpha1.ReadyCondition); ready.Reason != v1alpha1.SuspendedReason || w.repo.Status.Artifact != nil {
		t.Errorf("Ready = %+v", ready)
	}
}

func TestBundleURLIsRefusedForGood(t *testing.T) {
	w := newBundleWorld(t, v1alpha1.OCIRepositorySpec{})
	w.repo.Spec.URL = "oci://registry.example/team/vms:v1"
	if err := w.client.Update(t.Context(), w.repo); err != nil {
		t.Fatal(err)
	}
	w.mustRun()
	if stalled := w.condition(v1alpha1.StalledCondition); stalled.Reason != v1alpha1.SourceRefusedReason || !strings.Contains(stalled.Message, "ref.tag") {
		t.Errorf("Stalled = %+v", stalled)
	}
}

func newSigner(t *testing.T) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func TestBundleVerification(t *testing.T) {
	key, public := newSigner(t)
	stranger, _ := newSigner(t)
	trust := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "trust"}, Data: map[string][]byte{"release.pub": public}}
	w := newBundleWorld(t, v1alpha1.OCIRepositorySpec{
		Reference:    &v1alpha1.OCIReference{Tag: "v1"},
		Verification: &v1alpha1.OCIVerification{Provider: v1alpha1.Cosign, SecretRef: &v1alpha1.LocalObjectReference{Name: "trust"}},
	}, trust)
	sign := func(subject ocispec.Descriptor, key *ecdsa.PrivateKey) {
		t.Helper()
		if err := cosign.Sign(t.Context(), w.Repository, w.Repository.Name(), subject, key); err != nil {
			t.Fatal(err)
		}
	}
	first := w.Push("v1", "one")
	if _, err := w.run(); err == nil || w.repo.Status.Artifact != nil {
		t.Fatalf("without a signature: %v, artifact %v", err, w.repo.Status.Artifact)
	}
	for _, kind := range []string{v1alpha1.ReadyCondition, v1alpha1.SourceVerifiedCondition} {
		if c := w.condition(kind); c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.VerificationErrorReason {
			t.Errorf("%s = %+v", kind, c)
		}
	}
	sign(first, key)
	w.mustRun()
	if c := w.condition(v1alpha1.SourceVerifiedCondition); c.Status != metav1.ConditionTrue || !strings.Contains(c.Message, "signed by key release.pub") || w.content() != "one" {
		t.Errorf("SourceVerified = %+v", c)
	}
	second := w.Push("v1", "two")
	sign(second, stranger)
	if _, err := w.run(); err == nil || w.content() != "one" {
		t.Errorf("signed by a stranger: %v, content %q", err, w.content())
	}
	if c := w.condition(v1alpha1.SourceVerifiedCondition); c.Status != metav1.ConditionFalse {
		t.Errorf("SourceVerified = %+v", c)
	}
	sign(second, key)
	w.mustRun()
	if w.content() != "two" {
		t.Errorf("content %q after it was signed", w.content())
	}
}

func TestBundleVerificationPolicies(t *testing.T) {
	object := metav1.ObjectMeta{Namespace: "team", Name: "trust"}
	named := &v1alpha1.LocalObjectReference{Name: "trust"}
	tests := map[string]struct {
		verify v1alpha1.OCIVerification
		data   map[string][]byte
		text   string
	}{
		"cosign without a key":        {v1alpha1.OCIVerification{SecretRef: named}, nil, ".pub"},
		"cosign without anything":     {v1alpha1.OCIVerification{}, nil, "trustedRootSecretRef"},
		"keyless without a root file": {v1alpha1.OCIVerification{TrustedRootSecretRef: named, MatchOIDCIdentity: []v1alpha1.OIDCIdentityMatch{{Issuer: "a", Subject: "b"}}}, nil, "trusted_root.json is missing"},
		"notation without a policy":   {v1alpha1.OCIVerification{Provider: v1alpha1.Notation, SecretRef: named}, nil, "trustpolicy.json"},
		"notation that skips": {v1alpha1.OCIVerification{Provider: v1alpha1.Notation, SecretRef: named}, map[string][]byte{
			"trustpolicy.json": []byte(`{"version":"1.0","trustPolicies":[{"name":"all","registryScopes":["*"],"signatureVerification":{"level":"skip"}}]}`),
		}, "anybody's signature would do"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newBundleWorld(t, v1alpha1.OCIRepositorySpec{Verification: &test.verify}, &corev1.Secret{ObjectMeta: object, Data: test.data})
			w.Push("latest", "one")
			if _, err := w.run(); err == nil {
				t.Error("no error")
			}
			if c := w.condition(v1alpha1.SourceVerifiedCondition); c.Reason != v1alpha1.VerificationErrorReason || !strings.Contains(c.Message, test.text) || w.repo.Status.Artifact != nil {
				t.Errorf("SourceVerified = %+v, want %q", c, test.text)
			}
		})
	}
}

// CVE-2024-31216 of Flux: credentials stood where others read. Whatever a registry
// repeats, neither the status nor an event holds them.
func TestBundleCVE202431216CredentialsStayOutOfStatusAndEvents(t *testing.T) {
	w := newBundleWorld(t, v1alpha1.OCIRepositorySpec{SecretRef: &v1alpha1.LocalObjectReference{Name: "wrong"}})
	const password = "wr0ng-pa55w0rd"
	echo := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, sent, set := r.BasicAuth()
		if !set {
			rw.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		http.Redirect(rw, r, "http://"+sent+".invalid/"+r.Header.Get("Authorization"), http.StatusTemporaryRedirect)
	}))
	defer echo.Close()
	host := strings.TrimPrefix(echo.URL, "http://")
	if err := w.client.Create(t.Context(), dockerSecret("wrong", w.DockerConfig(host, registry.Credentials{Username: "me", Password: password}))); err != nil {
		t.Fatal(err)
	}
	w.repo.Spec.URL = oci.Scheme + host + "/x"
	if err := w.client.Update(t.Context(), w.repo); err != nil {
		t.Fatal(err)
	}
	_, err := w.run()
	if err == nil {
		t.Fatal("no error")
	}
	status, jsonErr := json.Marshal(w.repo)
	if jsonErr != nil {
		t.Fatal(jsonErr)
	}
	said := err.Error() + string(status) + strings.Join(w.events.Drain(), "\n")
	for _, secret := range []string{password, base64.StdEncoding.EncodeToString([]byte("me:" + password))} {
		if strings.Contains(said, secret) {
			t.Errorf("%q stands in: %s", secret, said)
		}
	}
}
