package receiver

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/reconcilers/internal/flow/flowtest"
)

const token = "t0ken-0f-the-sender"

// world is a receiver with two sources in its namespace and one outside.
type world struct {
	testing.TB
	client   client.Client
	clock    *clocktesting.FakePassiveClock
	handler  *Handler
	receiver *v1alpha1.Receiver
}

// kinds makes the scheme once: the core kinds cost more than a test.
var kinds = sync.OnceValues(func() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(corev1.AddToScheme(scheme), v1alpha1.AddToScheme(scheme))
})

func newWorld(t testing.TB, spec v1alpha1.ReceiverSpec) *world {
	t.Helper()
	scheme, err := kinds()
	if err != nil {
		t.Fatal(err)
	}
	spec.SecretRef.Name = "hook"
	if spec.Resources == nil {
		spec.Resources = []v1alpha1.ReceiverResource{{Kind: v1alpha1.GitRepositoryKind, Name: "vms"}, {Kind: v1alpha1.OCIRepositoryKind, Name: "*", MatchLabels: map[string]string{"tier": "prod"}}}
	}
	w := &world{TB: t, clock: clocktesting.NewFakePassiveClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))}
	w.receiver = &v1alpha1.Receiver{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "push", Generation: 1}, Spec: spec}
	object := func(namespace, name, tier string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"tier": tier}}
	}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithStatusSubresource(&v1alpha1.Receiver{}).
		WithIndex(&v1alpha1.Receiver{}, pathIndex, byPath).
		WithObjects(w.receiver,
			&corev1.Secret{ObjectMeta: object("team", "hook", ""), Data: map[string][]byte{"token": []byte(token)}},
			&v1alpha1.GitRepository{ObjectMeta: object("team", "vms", "")},
			&v1alpha1.OCIRepository{ObjectMeta: object("team", "prod", "prod")},
			&v1alpha1.OCIRepository{ObjectMeta: object("team", "test", "test")},
			&v1alpha1.OCIRepository{ObjectMeta: object("other", "prod", "prod")},
			&v1alpha1.GitRepository{ObjectMeta: object("other", "vms", "")},
		).Build()
	w.handler = NewHandler(w.client, w.client, w.clock)
	return w
}

// reconcile gives the receiver its path.
func (w *world) reconcile() error {
	w.Helper()
	r := &reconciler{secrets: w.client, clock: w.clock, served: true}
	_, err := flow.New(r.definition(), flow.Deps{Client: w.client, Recorder: &flowtest.Recorder{}, Clock: w.clock}).
		Reconcile(w.Context(), requestFor(w.receiver))
	if getErr := w.client.Get(w.Context(), client.ObjectKeyFromObject(w.receiver), w.receiver); getErr != nil {
		w.Fatal(getErr)
	}
	return err
}

func (w *world) mustReconcile() {
	w.Helper()
	if err := w.reconcile(); err != nil || w.receiver.Status.WebhookPath == "" {
		w.Fatalf("path %q, %v", w.receiver.Status.WebhookPath, err)
	}
}

func (w *world) post(header map[string]string, body string) int {
	w.Helper()
	return w.send(http.MethodPost, w.receiver.Status.WebhookPath, header, strings.NewReader(body))
}

func (w *world) send(method, path string, header map[string]string, body io.Reader) int {
	w.Helper()
	r := httptest.NewRequest(method, path, body)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	if strings.Contains(answer.Body.String(), token) {
		w.Errorf("the answer holds the token: %s", answer.Body)
	}
	return answer.Code
}

// woken lists the sources that were asked for a look, and forgets it.
func (w *world) woken() string {
	w.Helper()
	var names []string
	gits, bundles := &v1alpha1.GitRepositoryList{}, &v1alpha1.OCIRepositoryList{}
	if err := errors.Join(w.client.List(w.Context(), gits), w.client.List(w.Context(), bundles)); err != nil {
		w.Fatal(err)
	}
	var all []client.Object
	for i := range gits.Items {
		all = append(all, &gits.Items[i])
	}
	for i := range bundles.Items {
		all = append(all, &bundles.Items[i])
	}
	for _, o := range all {
		if o.GetAnnotations()[v1alpha1.RequestedAtAnnotation] == "" {
			continue
		}
		names = append(names, o.GetNamespace()+"/"+o.GetName())
		o.SetAnnotations(nil)
		if err := w.client.Update(w.Context(), o); err != nil {
			w.Fatal(err)
		}
	}
	return strings.Join(names, " ")
}

const both = "team/vms team/prod"

func mac(h func() hash.Hash, body string) string {
	m := hmac.New(h, []byte(token))
	m.Write([]byte(body))
	return hex.EncodeToString(m.Sum(nil))
}

const body = `{"ref":"refs/heads/main","type":"PUSH_ARTIFACT"}`

// proofs are what each sender sends with the body, and what it calls its event.
var proofs = map[v1alpha1.ReceiverType]map[string]string{
	v1alpha1.GenericReceiver:     {},
	v1alpha1.DockerHubReceiver:   {},
	v1alpha1.GenericHMACReceiver: {"X-Signature": "sha256=" + mac(sha256.New, body)},
	v1alpha1.GitHubReceiver:      {"X-Hub-Signature-256": "sha256=" + mac(sha256.New, body), "X-GitHub-Event": "push"},
	v1alpha1.GitLabReceiver:      {"X-Gitlab-Token": token, "X-Gitlab-Event": "push"},
	v1alpha1.GiteaReceiver:       {"X-Gitea-Signature": mac(sha256.New, body), "X-Gitea-Event": "push"},
	v1alpha1.ForgejoReceiver:     {"X-Forgejo-Signature": mac(sha256.New, body), "X-Forgejo-Event": "push"},
	v1alpha1.BitbucketReceiver:   {"X-Hub-Signature": "sha256=" + mac(sha256.New, body), "X-Event-Key": "push"},
	v1alpha1.HarborReceiver:      {"Authorization": token},
}

func TestEachSenderWakesTheSources(t *testing.T) {
	for kind, header := range proofs {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t, v1alpha1.ReceiverSpec{Type: kind, Events: []string{"push", "PUSH_ARTIFACT"}})
			w.mustReconcile()
			if code, got := w.post(header, body), w.woken(); code != http.StatusOK || got != both {
				t.Errorf("answer %d, woken %q, want %q", code, got, both)
			}
		})
	}
}

// CVE-2026-40109 of Flux's notification-controller: a receiver did not check a
// claim. Whoever cannot prove to know the token gets nothing, whatever is missing.
func TestCVE202640109EveryProofIsChecked(t *testing.T) {
	sha1Sum := "sha1=" + mac(sha1.New, body)
	forgeries := map[string]func(string) string{
		"missing":        func(string) string { return "" },
		"empty":          func(string) string { return " " },
		"cut off":        func(s string) string { return s[:len(s)-1] },
		"longer":         func(s string) string { return s + "00" },
		"of nothing":     func(string) string { return "sha256=" },
		"another hash":   func(string) string { return sha1Sum },
		"no hash at all": func(string) string { return "none=00" },
		"of an empty key": func(string) string {
			m := hmac.New(sha256.New, nil)
			m.Write([]byte(body))
			return "sha256=" + hex.EncodeToString(m.Sum(nil))
		},
	}
	for kind, header := range proofs {
		for name, forge := range forgeries {
			for key, value := range header {
				if strings.Contains(key, "Event") {
					continue
				}
				t.Run(string(kind)+"/"+name, func(t *testing.T) {
					w := newWorld(t, v1alpha1.ReceiverSpec{Type: kind})
					w.mustReconcile()
					if code, got := w.post(map[string]string{key: forge(value)}, body), w.woken(); code != http.StatusUnauthorized || got != "" {
						t.Errorf("answer %d, woken %q", code, got)
					}
				})
			}
		}
	}
}

func TestBodyOfAnotherSignature(t *testing.T) {
	w := newWorld(t, v1alpha1.ReceiverSpec{Type: v1alpha1.GitHubReceiver})
	w.mustReconcile()
	if code := w.post(proofs[v1alpha1.GitHubReceiver], body+" "); code != http.StatusUnauthorized || w.woken() != "" {
		t.Errorf("answer %d", code)
	}
}

func TestStrongerHashes(t *testing.T) {
	w := newWorld(t, v1alpha1.ReceiverSpec{Type: v1alpha1.GenericHMACReceiver})
	w.mustReconcile()
	for name, h := range map[string]func() hash.Hash{"sha384": sha512.New384, "sha512": sha512.New} {
		if code := w.post(map[string]string{"X-Signature": name + "=" + mac(h, body)}, body); code != http.StatusOK || w.woken() != both {
			t.Errorf("%s: answer %d", name, code)
		}
	}
}

// An empty token must never be a proof.
func TestEmptyToken(t *testing.T) {
	for kind := range proofs {
		if err := authenticate(kind, nil, http.Header{}, nil); err == nil {
			t.Errorf("%s: an empty token proves something", kind)
		}
	}
	w := newWorld(t, v1alpha1.ReceiverSpec{Type: v1alpha1.GitLabReceiver})
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "hook"}, Data: map[string][]byte{"token": {}}}
	if err := w.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if err := w.reconcile(); err == nil || w.receiver.Status.WebhookPath != "" {
		t.Errorf("path %q, %v", w.receiver.Status.WebhookPath, err)
	}
}

// CVE-2024-40634, CVE-2025-59531, CVE-2025-59537 and CVE-2025-59538 of Argo CD:
// requests that nobody vouched for cost memory, or made the parser panic.
func TestCVE202440634And202559531And202559537And202559538BodiesAreBounded(t *testing.T) {
	for kind := range proofs {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t, v1alpha1.ReceiverSpec{Type: kind})
			w.mustReconcile()
			endless := &counted{}
			if code := w.send(http.MethodPost, w.receiver.Status.WebhookPath, proofs[kind], endless); code != http.StatusRequestEntityTooLarge || endless.n > 2*maxBody {
				t.Errorf("answer %d after %d bytes", code, endless.n)
			}
			if w.woken() != "" {
				t.Error("sources were woken")
			}
		})
	}
	for name, malformed := range map[string]string{
		"no JSON": "{", "null": "null", "a list": "[]", "no repository": `{"repository":null}`, "a number": `{"type":1}`,
		"deep": strings.Repeat("[", 100_000), "a project without links": `{"changes":[{}],"repository":{"links":{}}}`,
	} {
		w := newWorld(t, v1alpha1.ReceiverSpec{Type: v1alpha1.HarborReceiver, Events: []string{"PUSH_ARTIFACT"}})
		w.mustReconcile()
		if code := w.post(proofs[v1alpha1.HarborReceiver], malformed); code != http.StatusOK || w.woken() != "" {
			t.Errorf("%s: answer %d", name, code)
		}
	}
}

// counted is a body without end.
type counted struct{ n int }

func (c *counted) Read(p []byte) (int, error) { c.n += len(p); return len(p), nil }

func TestReplay(t *testing.T) {
	w := newWorld(t, v1alpha1.ReceiverSpec{Type: v1alpha1.GitHubReceiver})
	w.mustReconcile()
	header := map[string]string{"X-GitHub-Delivery": "1"}
	for k, v := range proofs[v1alpha1.GitHubReceiver] {
		header[k] = v
	}
	if code := w.post(header, body); code != http.StatusOK || w.woken() != both {
		t.Fatalf("answer %d", code)
	}
	header["X-GitHub-Delivery"] = "2" // nobody signed this number
	if code := w.post(header, body); code != http.StatusOK || w.woken() != "" {
		t.Errorf("answer %d to a replay, or sources were woken", code)
	}
	w.clock.SetTime(w.clock.Now().Add(replayWindow + time.Second))
	if code := w.post(header, body); code != http.StatusOK || w.woken() != both {
		t.Errorf("answer %d after the window", code)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := newMemory(clocktesting.NewFakePassiveClock(time.Now()))
	for i := range 3 * deliveries {
		m.remember(deliveryOf("/", fmt.Append(nil, i)))
	}
	if len(m.seen) > deliveries || len(m.order) > deliveries {
		t.Errorf("%d deliveries are remembered", len(m.seen))
	}
}

func TestFlood(t *testing.T) {
	w := newWorld(t, v1alpha1.ReceiverSpec{Type: v1alpha1.GenericReceiver})
	w.mustReconcile()
	codes := map[int]int{}
	for i := range 100 {
		codes[w.post(nil, fmt.Sprint(i))]++
	}
	if codes[http.StatusOK] != burst || codes[http.StatusTooManyRequests] != 100-burst {
		t.Errorf("answers: %v", codes)
	}
	w.clock.SetTime(w.clock.Now().Add(time.Minute))
	if code := w.post(nil, "later"); code != http.StatusOK {
		t.Errorf("answer %d a minute later", code)
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t, v1alpha1.ReceiverSpec{Type: v1alpha1.GitHubReceiver, Events: []string{"push"}})
	w.mustReconcile()
	for event, want := range map[string]string{"push": both, "ping": "", "": ""} {
		text := `{"event":"` + event + `"}`
		header := map[string]string{"X-Hub-Signature-256": "sha256=" + mac(sha256.New, text), "X-GitHub-Event": event}
		if code, got := w.post(header, text), w.woken(); code != http.StatusOK || got != want {
			t.Errorf("%q: answer %d, woken %q, want %q", event, code, got, want)
		}
	}
}

func TestWhoIsNotThere(t *testing.T) {
	w := newWorld(t, v1alpha1.ReceiverSpec{Type: v1alpha1.GenericReceiver})
	w.mustReconcile()
	path := w.receiver.Status.WebhookPath
	for name, test := range map[string]struct {
		method, path string
		want         int
	}{
		"another path": {http.MethodPost, path[:len(path)-1] + "x", http.StatusNotFound},
		"no path":      {http.MethodPost, PathPrefix, http.StatusNotFound},
		"elsewhere":    {http.MethodPost, "/", http.StatusNotFound},
		"a look":       {http.MethodGet, path, http.StatusMethodNotAllowed},
	} {
		if code := w.send(test.method, test.path, nil, nil); code != test.want || w.woken() != "" {
			t.Errorf("%s: answer %d, want %d", name, code, test.want)
		}
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "hook"}, Data: map[string][]byte{"token": []byte("another")}}
	if err := w.client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if code := w.post(nil, body); code != http.StatusNotFound {
		t.Errorf("answer %d on the path of the old token", code)
	}
	w.mustReconcile()
	if w.receiver.Status.WebhookPath == path {
		t.Error("the path does not change with the token")
	}
	if code := w.post(nil, body); code != http.StatusOK {
		t.Errorf("answer %d on the new path", code)
	}
}

func TestSpecsThatDoNothing(t *testing.T) {
	for name, test := range map[string]struct {
		spec   v1alpha1.ReceiverSpec
		served bool
		reason string
	}{
		"suspended":         {v1alpha1.ReceiverSpec{Suspend: true}, true, v1alpha1.SuspendedReason},
		"with CEL":          {v1alpha1.ReceiverSpec{ResourceFilter: "true"}, true, v1alpha1.SucceededReason},
		"with broken CEL":   {v1alpha1.ReceiverSpec{ResourceFilter: "req.repository =="}, true, v1alpha1.InvalidCELExpressionReason},
		"CEL that is text":  {v1alpha1.ReceiverSpec{ResourceFilter: "'yes'"}, true, v1alpha1.InvalidCELExpressionReason},
		"nobody listens":    {v1alpha1.ReceiverSpec{}, false, v1alpha1.NotSupportedReason},
		"all that is there": {v1alpha1.ReceiverSpec{}, true, v1alpha1.SucceededReason},
	} {
		t.Run(name, func(t *testing.T) {
			test.spec.Type = v1alpha1.GenericReceiver
			w := newWorld(t, test.spec)
			r := &reconciler{secrets: w.client, clock: w.clock, served: test.served}
			engine := flow.New(r.definition(), flow.Deps{Client: w.client, Recorder: &flowtest.Recorder{}, Clock: w.clock})
			if _, err := flowtest.Reconcile(t, w.client, engine, w.receiver); err != nil {
				t.Fatal(err)
			}
			ready := meta.FindStatusCondition(w.receiver.Status.Conditions, v1alpha1.ReadyCondition)
			if ready == nil || ready.Reason != test.reason || (w.receiver.Status.WebhookPath != "") != (test.reason == v1alpha1.SucceededReason) {
				t.Errorf("Ready = %+v, path %q", ready, w.receiver.Status.WebhookPath)
			}
		})
	}
}

// The path is the one that Flux would give: hex(sha256(token + name + namespace)).
func TestPathIsThatOfFlux(t *testing.T) {
	r := &v1alpha1.Receiver{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "github-receiver"}}
	sum := sha256.Sum256([]byte("secret" + "github-receiver" + "apps"))
	if got, want := pathOf([]byte("secret"), r), "/hook/"+hex.EncodeToString(sum[:]); got != want {
		t.Errorf("path %s, want %s", got, want)
	}
}

func TestResourceFilter(t *testing.T) {
	const push = `{"repository": {"name": "prod"}, "tag": "registry.example/team/prod:v1.0.0", "deleted": false}`
	all := []v1alpha1.ReceiverResource{{Kind: v1alpha1.GitRepositoryKind, Name: "vms"}, {Kind: v1alpha1.GitRepositoryKind, Name: "gone"}, {Kind: v1alpha1.OCIRepositoryKind, Name: "*"}}
	for name, test := range map[string]struct {
		filter, kind, body string
		code               int
		woken              string
	}{
		"by name":            {"res.metadata.name == req.repository.name", "application/json", push, 200, "team/prod"},
		"by kind":            {"res.kind == 'GitRepository' && res.apiVersion.startsWith('gitops.slipway.dev/')", "application/json", push, 200, "team/vms"},
		"by label":           {"has(res.metadata.labels) && res.metadata.labels['tier'] == 'test'", "application/json", push, 200, "team/test"},
		"by tag":             {"req.tag.split(':').last().value().startsWith('v') && res.metadata.name == 'prod'", "application/json; charset=utf-8", push, 200, "team/prod"},
		"none":               {"req.deleted", "application/json", push, 200, ""},
		"not JSON":           {"!has(req.repository) && res.metadata.name == 'vms'", "text/plain", push, 200, "team/vms"},
		"broken JSON":        {"true", "application/json", push[1:], 400, ""},
		"a list":             {"true", "application/json", "[]", 400, ""},
		"what is missing":    {"req.ref == 'main'", "application/json", push, 422, ""},
		"what nobody can do": {"[req.tag]" + strings.Repeat(".map(x, x + x)", 40) + "[0] == ''", "application/json", push, 422, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, v1alpha1.ReceiverSpec{Type: v1alpha1.GenericReceiver, ResourceFilter: test.filter, Resources: all})
			w.mustReconcile()
			if code := w.post(map[string]string{"Content-Type": test.kind}, test.body); code != test.code {
				t.Errorf("answer %d, want %d", code, test.code)
			}
			if got := w.woken(); got != test.woken {
				t.Errorf("woken: %q, want %q", got, test.woken)
			}
		})
	}
}

// TestCVE_2026_44937: what a body says is no pattern that chooses sources. Neither are the names of the resources.
func TestCVE_2026_44937(t *testing.T) {
	const greedy = `{"repository": {"name": ".*", "url": ".*", "full_name": "(?i).*"}, "ref": "*"}`
	w := newWorld(t, v1alpha1.ReceiverSpec{
		Type: v1alpha1.GenericReceiver, Resources: []v1alpha1.ReceiverResource{{Kind: v1alpha1.GitRepositoryKind, Name: "vms"}, {Kind: v1alpha1.OCIRepositoryKind, Name: ".*"}},
	})
	w.mustReconcile()
	if code := w.post(map[string]string{"Content-Type": "application/json"}, greedy); code != http.StatusOK {
		t.Errorf("answer %d", code)
	}
	if got := w.woken(); got != "team/vms" {
		t.Errorf("woken: %q, want the one source that is named", got)
	}
}

func TestFilterSeesOnlyWhatIsAuthenticated(t *testing.T) {
	w := newWorld(t, v1alpha1.ReceiverSpec{Type: v1alpha1.GitHubReceiver, ResourceFilter: "true"})
	w.mustReconcile()
	if code := w.post(map[string]string{"Content-Type": "application/json"}, "{"); code != http.StatusUnauthorized {
		t.Errorf("answer %d to a broken body without a proof, want 401", code)
	}
}

func FuzzHandler(f *testing.F) {
	for kind, header := range proofs {
		for _, value := range header {
			f.Add(string(kind), value, "push", []byte(body))
		}
	}
	worlds := map[v1alpha1.ReceiverType]*world{}
	for kind := range proofs {
		if kind == v1alpha1.GenericReceiver || kind == v1alpha1.DockerHubReceiver {
			continue
		}
		worlds[kind] = newWorld(f, v1alpha1.ReceiverSpec{Type: kind})
		worlds[kind].mustReconcile()
	}
	f.Fuzz(func(t *testing.T, kind, proof, event string, sent []byte) {
		w := worlds[v1alpha1.ReceiverType(kind)]
		if w == nil || bytes.Equal(sent, []byte(body)) || strings.TrimSpace(proof) == token {
			t.Skip()
		}
		w.clock.SetTime(w.clock.Now().Add(time.Hour))
		r := httptest.NewRequest(http.MethodPost, w.receiver.Status.WebhookPath, bytes.NewReader(sent))
		for key := range proofs[v1alpha1.ReceiverType(kind)] {
			r.Header.Set(key, proof)
		}
		r.Header.Set(eventHeaders[v1alpha1.ReceiverType(kind)], event)
		answer := httptest.NewRecorder()
		w.handler.ServeHTTP(answer, r)
		if answer.Code != http.StatusUnauthorized {
			t.Errorf("answer %d to a proof that is none", answer.Code)
		}
		for _, kind := range []v1alpha1.ReceiverType{v1alpha1.HarborReceiver, v1alpha1.GitHubReceiver} {
			_ = eventOf(kind, r.Header, sent)
		}
	})
}

func requestFor(o client.Object) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)}
}
