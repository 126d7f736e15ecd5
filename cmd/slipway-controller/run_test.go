package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	gitops "slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/config/rbac"
	"slipway.dev/slipway/local/gitserver"
	nodecrd "slipway.dev/slipway/local/node/crd"
	"slipway.dev/slipway/reconcilers/admission"
	"slipway.dev/slipway/reconcilers/setup"
	"slipway.dev/slipway/test/kubetest"
)

// patience is for machines that do other things, too.
const patience = 3 * time.Minute

// world is a cluster to which config/default was applied.
type world struct {
	*testing.T
	client client.Client
	o      *options
	ended  chan error
}

// TestRunsWithTheRightsOfItsServiceAccount: what config/default grants is all that the controllers need for their lease,
// their webhooks' certificate and a push that is applied; and it does not make them administrators. No Service leads to the
// webhooks here, so nothing that they judge can be made: that must not end the process either.
func TestRunsWithTheRightsOfItsServiceAccount(t *testing.T) {
	w := newWorld(t)
	w.o.certDir = filepath.Join(t.TempDir(), "mounted")
	stop := w.start()
	w.playKubelet()

	w.eventually("ready", func(ctx context.Context) error { return get(ctx, "http://"+w.o.probes+"/readyz") })
	w.eventually("the API server told of the authority", w.toldOfAuthority)
	w.push()
	w.eventually("the pushed object", func(ctx context.Context) error {
		return w.client.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "settings"}, &corev1.ConfigMap{})
	})
	w.eventually("the Environment ready", w.environmentReady)
	w.noAdministrator()
	w.onlyImporterPods()
	stop()
	if err := <-w.ended; err != nil {
		t.Errorf("run ended with %v", err)
	}
}

func TestOptionsThatCannotWork(t *testing.T) {
	dir := t.TempDir()
	tests := map[string]func(*options){
		"no registry for machines":    func(o *options) { o.registryAddress = "" },
		"a stage that is none":        func(o *options) { o.controllers = []string{"everything"} },
		"no stage":                    func(o *options) { o.controllers = nil },
		"a network that is none":      func(o *options) { o.allowNetworks = []string{"home"} },
		"two ways to log in":          func(o *options) { o.registryKeys, o.registryCredentials = true, dir },
		"a registry without a port":   func(o *options) { o.registryAddress = "dvcr" },
		"uploads at no address":       func(o *options) { o.uploadURL = "uploads.example.com" },
		"credentials without files":   func(o *options) { o.registryCredentials = dir },
		"an authority that is not":    func(o *options) { o.registryCA = "options.go" },
		"a kubeconfig that is absent": func(o *options) { o.kubeconfig = filepath.Join(dir, "none") },
	}
	for name, spoil := range tests {
		t.Run(name, func(t *testing.T) {
			o := unset()
			o.registryAddress, o.metrics, o.probes, o.dataDir = "127.0.0.1:1", "0", "0", dir
			o.kubeconfig = writeKubeconfig(t, &rest.Config{Host: "https://127.0.0.1:1"})
			spoil(o)
			if err := run(t.Context(), o); err == nil {
				t.Error("it runs")
			}
		})
	}
}

func newWorld(t *testing.T) world {
	config := kubetest.StartFS(t, crd.Files, nodecrd.Files)
	scheme, err := setup.Scheme()
	must(t, err)
	c, err := client.New(config, client.Options{Scheme: scheme})
	must(t, err)
	w := world{T: t, client: c, o: unset(), ended: make(chan error, 1)}
	w.applyDefault()
	w.o.registryAddress, w.o.registryKeys = fmt.Sprintf("localhost:%d", freePort(t)), true
	w.o.importerTemplate = "slipway-importer"
	w.o.uploadBind, w.o.uploadAdvertise = freeAddress(t), "192.0.2.7"
	w.o.kubeconfig = writeKubeconfig(t, w.account(config))
	w.o.dataDir, w.o.metrics, w.o.probes = t.TempDir(), "0", freeAddress(t)
	w.o.webhookPort = freePort(t)
	w.o.allowNetworks = []string{"127.0.0.0/8"}
	return w
}

// unset are the options when no flag is given.
func unset() *options {
	o := defaults()
	o.bind(pflag.NewFlagSet("", pflag.ContinueOnError))
	return o
}

// applyDefault applies config/default as kubectl would.
func (w world) applyDefault() {
	w.Helper()
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../../config/default")
	must(w.T, err)
	for _, r := range rendered.Resources() {
		content, err := r.Map()
		must(w.T, err)
		u := &unstructured.Unstructured{Object: content}
		must(w.T, w.client.Apply(w.Context(), client.ApplyConfigurationFromUnstructured(u), client.FieldOwner("kubectl"), client.ForceOwnership))
	}
}

// account is a connection as the controllers' ServiceAccount.
func (w world) account(admin *rest.Config) *rest.Config {
	w.Helper()
	request := &authenticationv1.TokenRequest{}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: rbac.ControllerNamespace, Name: rbac.ControllerAccount}}
	must(w.T, w.client.SubResource("token").Create(w.Context(), account, request))
	config := rest.AnonymousClientConfig(admin)
	config.BearerToken = request.Status.Token
	return config
}

// start runs the controllers until the function that it returns is called.
func (w world) start() context.CancelFunc {
	ctx, cancel := context.WithCancel(w.Context())
	go func() { w.ended <- run(ctx, w.o) }()
	return cancel
}

// playKubelet mounts the webhook's Secret.
func (w world) playKubelet() {
	w.Helper()
	secret := &corev1.Secret{}
	w.eventually("the webhook's certificate", func(ctx context.Context) error {
		err := w.client.Get(ctx, client.ObjectKey{Namespace: w.o.namespace, Name: certificateSecret}, secret)
		if err == nil && len(secret.Data["tls.crt"]) == 0 {
			err = errors.New("it is empty")
		}
		return err
	})
	must(w.T, os.MkdirAll(w.o.certDir, 0o700))
	for name, text := range secret.Data {
		must(w.T, os.WriteFile(filepath.Join(w.o.certDir, name), text, 0o600))
	}
}

func (w world) toldOfAuthority(ctx context.Context) error {
	mutating, validating := admission.Configurations(admission.Endpoint{})
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: admission.ConvertedDefinition}}
	for _, object := range []client.Object{mutating, validating, definition} {
		if err := w.client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
			return err
		}
	}
	for name, bundle := range map[string][]byte{
		"defaults": mutating.Webhooks[0].ClientConfig.CABundle, "rules": validating.Webhooks[0].ClientConfig.CABundle,
		"conversion": definition.Spec.Conversion.Webhook.ClientConfig.CABundle,
	} {
		if len(bundle) == 0 {
			return fmt.Errorf("no authority for the webhook of %s", name)
		}
	}
	return nil
}

// push serves a repository with one object, and an Environment that applies it as a tenant's ServiceAccount.
func (w world) push() {
	w.Helper()
	dir := filepath.Join(w.TempDir(), "repository.git")
	must(w.T, gitserver.InitDemo(w.Context(), dir, fstest.MapFS{
		"settings.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: b}\n")},
	}))
	server, err := gitserver.New(gitserver.Options{})
	must(w.T, err)
	must(w.T, server.AddBare("shop", dir))
	must(w.T, server.Start(w.Context()))
	w.Cleanup(func() { must(w.T, server.Close()) })
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "tenant"}},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "tenant"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "shop", Name: "tenant"}},
		},
		&gitops.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}, Spec: gitops.GitRepositorySpec{URL: server.URL("shop"), Interval: metav1.Duration{Duration: time.Minute}}},
		&gitops.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}, Spec: gitops.EnvironmentSpec{
			SourceRef: gitops.SourceReference{Kind: gitops.GitRepositoryKind, Name: "shop"}, ServiceAccountName: "tenant",
		}},
	} {
		must(w.T, w.client.Create(w.Context(), object))
	}
}

func (w world) environmentReady(ctx context.Context) error {
	env := &gitops.Environment{}
	if err := w.client.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "shop"}, env); err != nil {
		return err
	}
	if !meta.IsStatusConditionTrue(env.Status.Conditions, "Ready") {
		return fmt.Errorf("conditions %v", env.Status.Conditions)
	}
	return nil
}

// noAdministrator asks for what would make the ServiceAccount one.
func (w world) noAdministrator() {
	w.Helper()
	user := "system:serviceaccount:" + rbac.ControllerNamespace + ":" + rbac.ControllerAccount
	for name, asked := range map[string]authorizationv1.ResourceAttributes{
		"everything":           {Verb: "*", Group: "*", Resource: "*"},
		"groups":               {Verb: "impersonate", Resource: "groups", Name: "system:masters"},
		"users":                {Verb: "impersonate", Resource: "users", Name: "admin"},
		"role bindings":        {Verb: "create", Group: rbacv1.GroupName, Resource: "clusterrolebindings"},
		"any other webhook":    {Verb: "update", Group: "admissionregistration.k8s.io", Resource: "validatingwebhookconfigurations", Name: "other"},
		"any other definition": {Verb: "update", Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions", Name: "other"},
	} {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: user, ResourceAttributes: &asked}}
		must(w.T, w.client.Create(w.Context(), review))
		if review.Status.Allowed {
			w.Errorf("the controllers may have %s", name)
		}
	}
}

func (w world) eventually(what string, check func(context.Context) error) {
	w.Helper()
	var last error
	err := wait.PollUntilContextTimeout(w.Context(), 100*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		select {
		case err := <-w.ended:
			return false, fmt.Errorf("run ended early: %w", err)
		default:
		}
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil {
		w.Fatalf("wait for %s: %v: %v", what, err, last)
	}
}

func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return errors.New(res.Status)
	}
	return nil
}

func writeKubeconfig(t *testing.T, config *rest.Config) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: config.Host, CertificateAuthorityData: config.CAData, CertificateAuthority: config.CAFile}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"u": {Token: config.BearerToken}},
		Contexts:       map[string]*clientcmdapi.Context{"x": {Cluster: "c", AuthInfo: "u"}},
		CurrentContext: "x",
	}, path))
	return path
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func freePort(t *testing.T) int {
	t.Helper()
	address, err := net.ResolveTCPAddr("tcp", freeAddress(t))
	must(t, err)
	return address.Port
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
