package source

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/internal/egress"
	"slipway.dev/slipway/reconcilers/internal/flow"
	"slipway.dev/slipway/sources/git"
)

// spellings of a secret that a server may come up with.
func spellings(secret string) []string {
	return []string{secret, url.QueryEscape(secret), url.PathEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("me:" + secret))}
}

// TestCVE_2025_55190_CredentialsStandNowhere: an API of Argo CD returned the credentials of repositories. It runs a source against servers that repeat what they are sent, and looks for the credentials
// in all that comes out: the object, the events, the returned error, the log and the metrics.
func TestCVE_2025_55190_CredentialsStandNowhere(t *testing.T) {
	const secret = "hunter2-/+ü%"
	repeat := func(w io.Writer, r *http.Request) {
		for _, s := range spellings(secret) {
			_, _ = fmt.Fprintf(w, "%s https://me:%s@host/?token=%s %s ", s, s, s, r.Header.Get("Authorization"))
		}
	}
	protocol := func(w http.ResponseWriter, lead string, r *http.Request) {
		var said bytes.Buffer
		repeat(&said, r)
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = fmt.Fprintf(w, "%04x%s%s", said.Len()+len(lead)+4, lead, said.String())
	}
	servers := map[string]http.HandlerFunc{
		"status":    func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500); repeat(w, r) },
		"forbidden": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403); repeat(w, r) },
		"error":     func(w http.ResponseWriter, r *http.Request) { protocol(w, "ERR ", r) },
		"garbage":   func(w http.ResponseWriter, r *http.Request) { protocol(w, "", r) },
		"redirect": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://me:"+url.PathEscape(secret)+"@127.0.0.1:1/")
			w.WriteHeader(302)
		},
		"type": func(w http.ResponseWriter, r *http.Request) {
			_, password, _ := r.BasicAuth()
			w.Header().Set("Content-Type", url.QueryEscape(password))
		},
	}
	secrets := map[string]map[string][]byte{
		"password":     {"username": []byte("me"), "password": []byte(secret)},
		"token":        {"bearerToken": []byte(secret)},
		"half a login": {"password": []byte(secret)},
		"wrong key":    {"githubAppID": []byte("1"), "githubAppInstallationID": []byte("2"), "githubAppPrivateKey": []byte(secret)},
		"certificate":  {"tls.crt": []byte(secret), "tls.key": []byte(secret), "ca.crt": []byte(secret)},
	}
	for name, server := range servers {
		for kind, data := range secrets {
			t.Run(name+", "+kind, func(t *testing.T) {
				web := httptest.NewServer(server)
				defer web.Close()
				said := everything(t, web.URL+"/x", data)
				for _, s := range spellings(secret) {
					if strings.Contains(said, s) {
						t.Errorf("%q stands in what was said:\n%s", s, said)
					}
				}
				if !strings.Contains(said, "Ready") || !strings.Contains(said, "slipway_step_duration_seconds") {
					t.Errorf("not much was said:\n%s", said)
				}
			})
		}
	}
}

// everything runs a source twice and returns all that it says.
func everything(t *testing.T, address string, data map[string][]byte) string {
	t.Helper()
	spec := v1alpha1.GitRepositorySpec{SecretRef: &v1alpha1.LocalObjectReference{Name: "login"}, ProxySecretRef: nil}
	login := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "login"}, Data: data}
	w := newWorld(t, spec, login)
	w.repo.Spec.URL = address
	if err := w.client.Update(t.Context(), w.repo); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	metrics, err := flow.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	logger := funcr.New(func(prefix, args string) { said.WriteString(prefix + args + "\n") }, funcr.Options{Verbosity: 10})
	r := &reconciler{
		reader: w.client, secrets: w.client, git: git.NewClient(git.WithTempDir(t.TempDir()), git.WithEgress(egress.Policy{Allow: egress.Loopback})),
		store: w.store, clock: w.clock, spread: unspread,
	}
	engine := flow.New(r.definition(), flow.Deps{Client: w.client, Recorder: w.events, Clock: w.clock, Metrics: metrics})
	for range 2 {
		_, err := engine.Reconcile(log.IntoContext(t.Context(), logger), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(w.repo)})
		if err != nil {
			logger.Error(err, "Reconciler error")
		}
		fmt.Fprintf(&said, "%v %+v %#v\n", err, err, err)
	}
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(w.repo), w.repo); err != nil {
		t.Fatal(err)
	}
	object, err := json.Marshal(w.repo)
	if err != nil {
		t.Fatal(err)
	}
	said.Write(object)
	said.WriteString(strings.Join(w.events.Drain(), "\n"))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&said, f); err != nil {
			t.Fatal(err)
		}
	}
	return said.String()
}
