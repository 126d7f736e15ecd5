package kube

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/client-go/tools/clientcmd"
)

func newSite(t *testing.T, dir string) *site {
	t.Helper()
	s, err := prepareSite(Options{Dir: dir}, "/sockets")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSiteKeepsWhatClientsHave(t *testing.T) {
	dir := t.TempDir()
	newSite(t, dir)
	before, err := os.ReadFile(KubeconfigPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	newSite(t, dir)
	after, err := os.ReadFile(KubeconfigPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("kubeconfig changed with the second start (-first +second):\n%s", diff)
	}
}

func TestSiteKubeconfigVerifiesTheServer(t *testing.T) {
	dir := t.TempDir()
	s := newSite(t, dir)
	config, err := clientcmd.BuildConfigFromFlags("", KubeconfigPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if config.Insecure || strings.Contains(string(config.CAData), "PRIVATE") {
		t.Error("does not verify, or gives the server's key away")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.CAData)
	text, err := os.ReadFile(s.certs(servingPair))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "127.0.0.1"}); err != nil {
		t.Errorf("verify: %v", err)
	}
}

func TestSiteGivesTheControllersNoMoreThanTheirOwn(t *testing.T) {
	s := newSite(t, t.TempDir())
	text, err := os.ReadFile(s.certs("tokens.csv"))
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		_, user, _ := strings.Cut(line, ",")
		users = append(users, user)
	}
	want := []string{
		`slipway-admin,slipway-admin,"system:masters"`,
		"system:kube-controller-manager,system:kube-controller-manager",
	}
	if diff := cmp.Diff(want, users); diff != "" {
		t.Errorf("users (-want +got):\n%s", diff)
	}
}

func TestSiteArguments(t *testing.T) {
	s := &site{dir: "/data", sockets: "/sockets", port: 6443}
	for _, want := range []string{"--listen-client-urls=unix://etcd.sock", "--listen-peer-urls=unix://peer.sock"} {
		if !slices.Contains(s.etcdArgs(false), want) {
			t.Errorf("etcd lacks %s", want)
		}
	}
	if slices.Contains(s.etcdArgs(false), "--unsafe-no-fsync") || !slices.Contains(s.etcdArgs(true), "--unsafe-no-fsync") {
		t.Error("etcd waits for the disk at the wrong time")
	}
	for _, want := range []string{"--bind-address=127.0.0.1", "--authorization-mode=RBAC", "--secure-port=6443"} {
		if !slices.Contains(s.serverArgs(), want) {
			t.Errorf("API server lacks %s", want)
		}
	}
	for _, want := range []string{"--secure-port=0", "--use-service-account-credentials=true"} {
		if !slices.Contains(s.controllerArgs(), want) {
			t.Errorf("controllers lack %s", want)
		}
	}
}

func TestChoosePort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "port")
	first := mustChoose(t, path, 0)
	if again := mustChoose(t, path, 0); again != first {
		t.Errorf("port %d, want %d again", again, first)
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(first)))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if other := mustChoose(t, path, 0); other == first {
		t.Errorf("port %d, which is taken", other)
	}
	if _, err := choosePort(path, first); err == nil {
		t.Error("chose a taken port because it was asked for")
	}
}

func mustChoose(t *testing.T, path string, asked int) int {
	t.Helper()
	port, err := choosePort(path, asked)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestLogTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if got := logTail(path); got != "" {
		t.Errorf("tail of no log: %q, want nothing", got)
	}
	var lines []string
	for i := range 3 * tailLines {
		lines = append(lines, "line "+strconv.Itoa(i))
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := logTail(path)
	if !strings.HasSuffix(got, lines[len(lines)-1]) || strings.Count(got, "line ") != tailLines || !strings.Contains(got, path) {
		t.Errorf("tail %q, want the last %d lines and the path", got, tailLines)
	}
}

func TestParseHolder(t *testing.T) {
	cases := map[string]struct {
		text string
		want holder
	}{
		"with a parent":    {text: `{"pid":7,"parent":3}`, want: holder{PID: 7, Parent: 3}},
		"detached":         {text: `{"pid":7}`, want: holder{PID: 7}},
		"not yet written":  {},
		"partly written":   {text: `{"pid":7,"par`},
		"of a later state": {text: `{"pid":7,"since":"noon"}`, want: holder{PID: 7}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, parseHolder([]byte(tc.text))); diff != "" {
				t.Errorf("holder (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadCRDs(t *testing.T) {
	tree := fstest.MapFS{
		"b.yaml":     {Data: []byte("kind: ConfigMap\nmetadata: {name: other}\n---\nkind: CustomResourceDefinition\nmetadata: {name: b, creationTimestamp: null}\nstatus: {conditions: null}\n")},
		"a/a.json":   {Data: []byte(`{"kind":"CustomResourceDefinition","metadata":{"name":"a"}}`)},
		"c.yml":      {Data: []byte("---\n# nothing\n---\nkind: CustomResourceDefinition\nmetadata: {name: c}\n")},
		"readme.txt": {Data: []byte("kind: CustomResourceDefinition")},
	}
	crds, err := readCRDs(tree)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, crd := range crds {
		names = append(names, crd.GetName())
		if _, ok := crd.Object["status"]; ok {
			t.Errorf("%s still has a status", crd.GetName())
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, names); diff != "" {
		t.Errorf("definitions (-want +got):\n%s", diff)
	}
}

func TestReadCRDsNamesTheBrokenFile(t *testing.T) {
	_, err := readCRDs(fstest.MapFS{"x/broken.yaml": {Data: []byte("kind: [")}})
	if err == nil || !strings.Contains(err.Error(), "x/broken.yaml") {
		t.Errorf("error %v, want one that names x/broken.yaml", err)
	}
}

func TestEstablished(t *testing.T) {
	condition := func(kind apiextensionsv1.CustomResourceDefinitionConditionType, status apiextensionsv1.ConditionStatus) apiextensionsv1.CustomResourceDefinitionCondition {
		return apiextensionsv1.CustomResourceDefinitionCondition{Type: kind, Status: status}
	}
	cases := map[string]struct {
		conditions []apiextensionsv1.CustomResourceDefinitionCondition
		want       bool
	}{
		"new":         {},
		"only named":  {conditions: []apiextensionsv1.CustomResourceDefinitionCondition{condition(apiextensionsv1.NamesAccepted, apiextensionsv1.ConditionTrue)}},
		"not yet":     {conditions: []apiextensionsv1.CustomResourceDefinitionCondition{condition(apiextensionsv1.Established, apiextensionsv1.ConditionFalse)}},
		"established": {conditions: []apiextensionsv1.CustomResourceDefinitionCondition{condition(apiextensionsv1.Established, apiextensionsv1.ConditionTrue)}, want: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			crd := &apiextensionsv1.CustomResourceDefinition{}
			crd.Status.Conditions = tc.conditions
			if got := established(crd); got != tc.want {
				t.Errorf("established %t, want %t", got, tc.want)
			}
		})
	}
}
