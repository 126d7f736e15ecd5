package environment

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/sources/flux"
	"slipway.dev/slipway/test/kubetest"
)

func (w *world) importer() Imports {
	return Imports{Client: flux.NewClient(egress.Policy{Allow: egress.Loopback}, flux.WithTempDir(w.TempDir())), Store: w.store}
}

// fluxWorld is a world whose Environment takes from a source that the test keeps current in Flux's place.
type fluxWorld struct {
	*world
	ref    v1alpha1.SourceReference
	server *httptest.Server
	// answer is what the server does.
	answer http.HandlerFunc
}

func newFluxWorld(w *world, kind, definitions string) *fluxWorld {
	w.Helper()
	f := &fluxWorld{world: w, ref: v1alpha1.SourceReference{APIVersion: v1alpha1.FluxAPIVersion, Kind: kind, Name: "source"}}
	f.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { f.answer(rw, r) }))
	w.Cleanup(f.server.Close)
	if definitions != "" {
		f.define(definitions)
	}
	w.spec(func(s *v1alpha1.EnvironmentSpec) { s.SourceRef = f.ref })
	return f
}

// define installs kinds of Flux's.
func (f *fluxWorld) define(directory string) {
	f.Helper()
	kubetest.StartFS(f, os.DirFS("testdata/flux/"+directory))
}

// source creates or changes the source, status included.
func (f *fluxWorld) source(change func(u *unstructured.Unstructured)) {
	f.Helper()
	u := &unstructured.Unstructured{}
	u.SetAPIVersion(f.ref.APIVersion)
	u.SetKind(f.ref.Kind)
	u.SetNamespace(f.namespace)
	u.SetName(f.ref.Name)
	err := f.admin.Get(f.Context(), client.ObjectKeyFromObject(u), u)
	if client.IgnoreNotFound(err) != nil {
		f.Fatal(err)
	}
	if err != nil {
		f.create(u)
	}
	change(u)
	status := u.Object["status"]
	if err := f.admin.Update(f.Context(), u); err != nil {
		f.Fatal(err)
	}
	u.Object["status"] = status
	if err := f.admin.Status().Update(f.Context(), u); err != nil {
		f.Fatal(err)
	}
}

// publish makes an archive the artifact of the source.
func (f *fluxWorld) publish(revision string, archive []byte) {
	f.Helper()
	f.answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) }
	f.source(func(u *unstructured.Unstructured) {
		u.Object["status"] = map[string]any{
			"artifact": map[string]any{
				"url": f.server.URL + "/" + digest.FromBytes(archive).Encoded() + ".tar.gz", "path": "x", "revision": revision,
				"digest": digest.FromBytes(archive).String(), "size": int64(len(archive)), "lastUpdateTime": "2026-01-01T00:00:00Z",
			},
			"conditions": conditions("True", "stored artifact"),
		}
	})
}

func conditions(status, message string) []any {
	return []any{map[string]any{"type": "Ready", "status": status, "reason": "Tested", "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"}}
}

func archiveOf(t testing.TB, name, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Write([]byte(content))
	if err := errors.Join(err, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (f *fluxWorld) color() string {
	f.Helper()
	return f.values("settings")["color"]
}

func TestFluxSources(t *testing.T) {
	for _, kind := range []string{v1alpha1.GitRepositoryKind, v1alpha1.OCIRepositoryKind} {
		t.Run(kind, func(t *testing.T) {
			f := newFluxWorld(newWorld(t), kind, "own")
			f.settle()
			f.want(metav1.ConditionUnknown, v1alpha1.SourceNotFoundReason, "there is no "+kind+" source of Flux")
			f.publish("main@sha1:0001", archiveOf(t, "a.yaml", settings))
			f.settle()
			f.want(metav1.ConditionTrue, v1alpha1.SucceededReason, "main@sha1:0001")
			first := f.env.Status.SourceArtifact
			if f.env.Status.LastAppliedRevision != "main@sha1:0001" || f.color() != "blue" || first == nil || first.SourceRef != f.ref {
				t.Errorf("status %+v, color %q", f.env.Status, f.color())
			}

			// What was taken is not fetched again, not by a new process either, until it is another archive or lost.
			fetched := f.answer
			f.answer = http.NotFound
			f.restart()
			f.settle()
			f.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
			if _, err := f.store.Keep(); err != nil {
				t.Fatal(err)
			}
			f.answer = fetched
			f.publish("main@sha1:0002", archiveOf(t, "a.yaml", strings.Replace(settings, "blue", "green", 1)))
			f.settle()
			f.want(metav1.ConditionTrue, v1alpha1.SucceededReason, "main@sha1:0002")
			if f.color() != "green" || f.env.Status.SourceArtifact.Digest == first.Digest {
				t.Errorf("color %q, artifact %+v", f.color(), f.env.Status.SourceArtifact)
			}

			// A source of our own ends it.
			f.push("main@sha1:0003", map[string]string{"a.yaml": settings})
			f.spec(func(s *v1alpha1.EnvironmentSpec) {
				s.SourceRef = v1alpha1.SourceReference{Kind: v1alpha1.GitRepositoryKind, Name: "source"}
			})
			f.settle()
			if f.env.Status.SourceArtifact != nil || f.color() != "blue" {
				t.Errorf("artifact %+v, color %q", f.env.Status.SourceArtifact, f.color())
			}
		})
	}
}

// TestFluxSourceTrouble: whatever is wrong with a source is said, and what was applied before is still looked after.
func TestFluxSourceTrouble(t *testing.T) {
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	status := func(path ...string) func(any) func(*unstructured.Unstructured) {
		return func(value any) func(*unstructured.Unstructured) {
			return func(u *unstructured.Unstructured) {
				if err := unstructured.SetNestedField(u.Object, value, path...); err != nil {
					panic(err)
				}
			}
		}
	}
	ready := func(u *unstructured.Unstructured, status, message string) {
		_ = unstructured.SetNestedSlice(u.Object, conditions(status, message), "status", "conditions")
	}
	green := archiveOf(t, "a.yaml", strings.Replace(settings, "blue", "green", 1))
	tests := map[string]struct {
		archive []byte
		answer  http.HandlerFunc
		change  func(*unstructured.Unstructured)
		reason  string
		says    string
	}{
		"not ready":         {change: func(u *unstructured.Unstructured) { ready(u, "False", "cannot clone") }, reason: v1alpha1.SourceNotReadyReason, says: "cannot clone"},
		"no condition":      {change: func(u *unstructured.Unstructured) { unstructured.RemoveNestedField(u.Object, "status", "conditions") }, reason: v1alpha1.SourceNotReadyReason, says: "was not looked at"},
		"suspended":         {change: status("spec", "suspend")(true), reason: v1alpha1.SourceSuspendedReason, says: "resume it"},
		"no artifact":       {change: func(u *unstructured.Unstructured) { unstructured.RemoveNestedField(u.Object, "status", "artifact") }, reason: v1alpha1.SourceNotReadyReason, says: "no artifact"},
		"other content":     {answer: func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }, reason: v1alpha1.SourceRefusedReason, says: "do not have the digest"},
		"bad digest":        {change: status("status", "artifact", "digest")("md5:00"), reason: v1alpha1.SourceRefusedReason, says: "no sha256 digest"},
		"too large":         {change: status("status", "artifact", "size")(int64(1 << 40)), reason: v1alpha1.SourceRefusedReason, says: "the limit is"},
		"path escape":       {archive: archiveOf(t, "../a.yaml", settings), reason: v1alpha1.SourceRefusedReason, says: "../a.yaml"},
		"not an archive":    {archive: []byte("hello"), reason: v1alpha1.SourceRefusedReason, says: "no tar archive"},
		"gone":              {answer: http.NotFound, reason: v1alpha1.ArtifactFetchFailedReason, says: "status 404"},
		"metadata address":  {change: status("status", "artifact", "url")("http://169.254.169.254/x"), reason: v1alpha1.SourceRefusedReason, says: "--allow-network"},
		"metadata redirect": {answer: redirect("http://169.254.169.254/x"), reason: v1alpha1.SourceRefusedReason, says: "--allow-network"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFluxWorld(newWorld(t), v1alpha1.GitRepositoryKind, "own")
			f.publish("main@sha1:0001", archiveOf(t, "a.yaml", settings))
			f.settle()
			f.want(metav1.ConditionTrue, v1alpha1.SucceededReason)
			if test.archive == nil {
				test.archive = green
			}
			f.publish("main@sha1:0002", test.archive)
			if test.change != nil {
				f.source(test.change)
			}
			if test.answer != nil {
				f.answer = test.answer
			}
			f.edit("ConfigMap", "settings", func(u *unstructured.Unstructured) {
				_ = unstructured.SetNestedField(u.Object, "red", "data", "color")
			})
			_, _ = f.run()
			ready := meta.FindStatusCondition(f.env.Status.Conditions, v1alpha1.ReadyCondition)
			if ready.Status == metav1.ConditionTrue || ready.Reason != test.reason || !strings.Contains(ready.Message, test.says) {
				t.Errorf("Ready = %+v, want %s with %q", ready, test.reason, test.says)
			}
			if got := f.env.Status; f.color() != "blue" || got.LastAppliedRevision != "main@sha1:0001" || got.SourceArtifact.Revision != "main@sha1:0001" || len(got.Inventory) != 1 {
				t.Errorf("color %q, status %+v; want the drift corrected and the first revision in place", f.color(), got)
			}

			// It goes on once the source is well again.
			f.source(func(u *unstructured.Unstructured) { unstructured.RemoveNestedField(u.Object, "spec", "suspend") })
			f.publish("main@sha1:0003", green)
			f.settle()
			f.want(metav1.ConditionTrue, v1alpha1.SucceededReason, "main@sha1:0003")
			if f.color() != "green" {
				t.Errorf("color %q", f.color())
			}
		})
	}
}

// TestFluxArrivesLater runs the controller in a cluster without Flux, which somebody then installs.
func TestFluxArrivesLater(t *testing.T) {
	w, _ := managed(t)
	f := newFluxWorld(w, v1alpha1.ExternalArtifactKind, "")
	absent := func(env *v1alpha1.Environment) bool {
		r := meta.FindStatusCondition(env.Status.Conditions, v1alpha1.ReadyCondition)
		return r != nil && r.Reason == v1alpha1.SourceNotFoundReason && strings.Contains(r.Message, "install Flux")
	}
	f.await("absence", absent)
	f.define("external")
	f.publish("latest@sha256:01", archiveOf(t, "a.yaml", settings))
	f.await("notice", ready("latest@sha256:01"))

	// From now on it is watched.
	f.publish("latest@sha256:02", archiveOf(t, "a.yaml", strings.Replace(settings, "blue", "green", 1)))
	f.await("follow", ready("latest@sha256:02"))
	if f.color() != "green" {
		t.Errorf("color %q", f.color())
	}
}

func TestSourceReferencesAreValidated(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]struct {
		ref     v1alpha1.SourceReference
		refused bool
	}{
		"ours":                   {ref: v1alpha1.SourceReference{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: v1alpha1.GitRepositoryKind, Name: "a"}},
		"Flux's":                 {ref: v1alpha1.SourceReference{APIVersion: v1alpha1.FluxAPIVersion, Kind: v1alpha1.ExternalArtifactKind, Name: "a"}},
		"Flux's of before":       {ref: v1alpha1.SourceReference{APIVersion: "source.toolkit.fluxcd.io/v1beta2", Kind: v1alpha1.OCIRepositoryKind, Name: "a"}, refused: true},
		"no ExternalArtifact":    {ref: v1alpha1.SourceReference{Kind: v1alpha1.ExternalArtifactKind, Name: "a"}, refused: true},
		"a kind without content": {ref: v1alpha1.SourceReference{APIVersion: v1alpha1.FluxAPIVersion, Kind: "HelmRepository", Name: "a"}, refused: true},
	} {
		env := w.env.DeepCopy()
		env.Spec.SourceRef = test.ref
		if err := w.admin.Update(t.Context(), env, client.DryRunAll); (err != nil) != test.refused {
			t.Errorf("%s: %v, want it refused: %t", name, err, test.refused)
		}
	}
}
