package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.dev/slipway/test/bundle"
)

// bundleWorld is a registry that Docker's configuration has the credentials of, and
// a directory of manifests.
type bundleWorld struct {
	*testing.T
	url string
	dir string
}

func newBundleWorld(t *testing.T) *bundleWorld {
	t.Helper()
	r := bundle.NewRegistry(t)
	docker := t.TempDir()
	w := &bundleWorld{T: t, url: r.URL, dir: t.TempDir()}
	w.write(filepath.Join(docker, "config.json"), string(r.DockerConfig(r.Server.Addr(), r.Server.Credentials())))
	t.Setenv("DOCKER_CONFIG", docker)
	t.Setenv("SOURCE_DATE_EPOCH", "1777636800")
	w.write(filepath.Join(w.dir, "vm.yaml"), "kind: VirtualMachine\n")
	w.write(filepath.Join(w.dir, "disks", "root.yaml"), "kind: VirtualDisk\n")
	w.write(filepath.Join(w.dir, "disks", "root.qcow2"), "no manifest")
	return w
}

func (w *bundleWorld) write(path, content string) {
	w.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		w.Fatal(err)
	}
}

// run runs a bundle command and returns its exit code and what it printed.
func (w *bundleWorld) run(args ...string) (int, string) {
	w.Helper()
	var out, errOut bytes.Buffer
	root := newRoot(&out, &errOut)
	root.SetArgs(append([]string{"bundle"}, args...))
	code := exitCode(root.ExecuteContext(w.Context()), &errOut)
	return code, out.String() + errOut.String()
}

func (w *bundleWorld) must(want int, says string, args ...string) string {
	w.Helper()
	code, out := w.run(args...)
	if code != want || !strings.Contains(out, says) {
		w.Fatalf("bundle %s: exit code %d, printed %q; want %d and %q", strings.Join(args, " "), code, out, want, says)
	}
	return out
}

func TestBundleFromPushToVerify(t *testing.T) {
	w := newBundleWorld(t)
	v1 := w.url + ":v1"
	var first, second pushed
	for _, into := range []*pushed{&first, &second} {
		out := w.must(0, `"digest"`, "push", v1, w.dir, "--source", "https://git.example/vms", "--revision", "main@sha1:abc", "-o", "json")
		if err := json.Unmarshal([]byte(out), into); err != nil {
			t.Fatal(err)
		}
	}
	if first.Digest != second.Digest || first.Files != 2 || first.Created != "2026-05-01T12:00:00Z" {
		t.Errorf("pushed %+v, then %+v", first, second)
	}
	w.must(0, first.Digest, "tag", v1, "prod", "stable")
	out := w.must(0, "main@sha1:abc", "ls", w.url)
	for _, tag := range []string{"prod", "stable", "v1"} {
		if !strings.Contains(out, tag) {
			t.Errorf("ls does not show %s:\n%s", tag, out)
		}
	}
	w.must(0, "tag: prod", "ls", w.url, "-o", "yaml")
	w.must(0, "no difference", "diff", v1, w.dir)
	copied := filepath.Join(t.TempDir(), "copy")
	w.must(0, first.Digest, "pull", w.url+"@"+first.Digest, copied)
	if content, err := os.ReadFile(filepath.Join(copied, "disks", "root.yaml")); err != nil || string(content) != "kind: VirtualDisk\n" {
		t.Errorf("pulled %q, %v", content, err)
	}
	w.must(exitFailed, "not empty", "pull", v1, copied)
	w.write(filepath.Join(w.dir, "vm.yaml"), "kind: Other\n")
	w.write(filepath.Join(w.dir, "new.yaml"), "")
	out = w.must(exitFailed, "CHANGE", "diff", v1, w.dir)
	for _, line := range []string{"added     new.yaml", "changed   vm.yaml"} {
		if !strings.Contains(out, line) {
			t.Errorf("diff does not say %q:\n%s", line, out)
		}
	}
	w.signAndVerify(v1)
}

func (w *bundleWorld) signAndVerify(url string) {
	w.Helper()
	dir := w.TempDir()
	private, public := writeKeys(w.T, dir, "mine")
	_, stranger := writeKeys(w.T, dir, "stranger")
	w.must(exitFailed, "no cosign signature", "verify", "--key", public, url)
	w.must(0, "signed", "sign", "--key", private, url)
	w.must(0, "signed by key", "verify", "--key", public, url)
	w.must(exitFailed, "by no known key", "verify", "--key", stranger, url)
}

func writeKeys(t *testing.T, dir, name string) (private, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private, public = filepath.Join(dir, name+".key"), filepath.Join(dir, name+".pub")
	for path, block := range map[string]*pem.Block{private: {Type: "PRIVATE KEY", Bytes: der}, public: {Type: "PUBLIC KEY", Bytes: spki}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return private, public
}

func TestBundleMistakes(t *testing.T) {
	w := newBundleWorld(t)
	empty := t.TempDir()
	for name, test := range map[string]struct {
		code int
		says string
		args []string
	}{
		"no tag":                {exitUsage, ":TAG", []string{"push", w.url, w.dir}},
		"no directory":          {exitUsage, "a directory", []string{"push", w.url + ":v1"}},
		"one that is not there": {exitFailed, "no such directory", []string{"push", w.url + ":v1", filepath.Join(w.dir, "gone")}},
		"nothing in it":         {exitFailed, "no file in it", []string{"push", w.url + ":v1", empty}},
		"no time":               {exitUsage, "RFC 3339", []string{"push", w.url + ":v1", w.dir, "--created", "today"}},
		"no such bundle":        {exitFailed, "not found", []string{"pull", w.url + ":gone", empty}},
		"no OCI URL":            {exitFailed, "oci://", []string{"ls", "https://registry.example/x"}},
		"no key":                {exitUsage, "--key", []string{"sign", w.url + ":v1"}},
		"nobody to trust":       {exitUsage, "whom to trust", []string{"verify", w.url + ":v1"}},
		"no registry":           {exitFailed, "unreachable", []string{"ls", "oci://127.0.0.1:1/x"}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "nobody to trust" {
				w.must(0, "", "push", w.url+":v1", w.dir)
			}
			code, out := w.run(test.args...)
			if code != test.code || !strings.Contains(out, test.says) {
				t.Errorf("exit code %d, printed %q; want %d and %q", code, out, test.code, test.says)
			}
		})
	}
}
