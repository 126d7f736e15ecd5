package oci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestPushAndFetch(t *testing.T) {
	w := newWorld(t)
	pushed := w.push(sample, "v1")
	revision, err := w.repository().Resolve(t.Context(), Ref{Tag: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Revision{Tag: "v1", Digest: pushed}); revision != want || revision.String() != "v1@"+pushed {
		t.Errorf("revision = %v, want %v", revision, want)
	}
	bundle, err := w.repository().Fetch(t.Context(), revision, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer bundle.Close()
	want := map[string]string{"kustomization.yaml": "resources: [vm.yaml]\n", "vm.yaml": "kind: VirtualMachine\n", "bin/run": "#!/bin/sh\n"}
	if diff := cmp.Diff(want, files(t, bundle)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if info, err := bundle.Stat("bin/run"); err != nil || info.Mode() != 0o755 {
		t.Errorf("mode of bin/run: %v, %v", info, err)
	}
	annotations := map[string]string{ocispec.AnnotationSource: "https://git.example/vms", ocispec.AnnotationRevision: "main@sha1:abc"}
	if diff := cmp.Diff(annotations, bundle.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	w.nothingLeft()
}

func TestSameTreeSameDigest(t *testing.T) {
	w := newWorld(t)
	first := w.push(sample, "a")
	if second := w.push(sample, "b"); first != second {
		t.Errorf("digests %s and %s of one tree", first, second)
	}
	other := fstest.MapFS{"vm.yaml": sample["vm.yaml"]}
	if third := w.push(other, "c"); third == first {
		t.Error("one digest for two trees")
	}
}

func TestReferences(t *testing.T) {
	w := newWorld(t)
	digests := map[string]string{}
	for _, tag := range []string{"latest", "1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "1.11.0-dev", "other"} {
		digests[tag] = w.push(fstest.MapFS{"tag": {Data: []byte(tag)}}, tag)
	}
	tests := map[string]struct {
		ref  Ref
		want string
		err  error
	}{
		"nothing is latest":          {Ref{}, "latest@" + digests["latest"], nil},
		"tag":                        {Ref{Tag: "other"}, "other@" + digests["other"], nil},
		"semver":                     {Ref{SemVer: "1.x"}, "1.10.0@" + digests["1.10.0"], nil},
		"semver with a filter":       {Ref{SemVer: ">=1.0.0-0", SemVerFilter: "-rc\\."}, "2.0.0-rc.1@" + digests["2.0.0-rc.1"], nil},
		"semver wins over a tag":     {Ref{SemVer: "1.0.x", Tag: "other"}, "1.0.0@" + digests["1.0.0"], nil},
		"digest wins over all":       {Ref{Digest: digests["other"], SemVer: "1.x", Tag: "latest"}, digests["other"], nil},
		"no such tag":                {Ref{Tag: "gone"}, "", ErrNotFound},
		"no version in the range":    {Ref{SemVer: "3.x"}, "", ErrNotFound},
		"no range":                   {Ref{SemVer: "one"}, "", ErrRefused},
		"no regular expression":      {Ref{SemVer: "1.x", SemVerFilter: "("}, "", ErrRefused},
		"a digest that is none":      {Ref{Digest: "sha256:abc"}, "", ErrRefused},
		"a digest of another length": {Ref{Digest: "sha512:" + strings.Repeat("a", 128)}, "", ErrRefused},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := w.repository().Resolve(t.Context(), test.ref)
			if !errors.Is(err, test.err) || got.String() != test.want {
				t.Fatalf("Resolve() = %q, %v; want %q, %v", got, err, test.want, test.err)
			}
			if err != nil {
				return
			}
			again, err := ParseRevision(got.String())
			if err != nil || again != got {
				t.Errorf("ParseRevision() = %v, %v", again, err)
			}
		})
	}
}

func tarOf(t *testing.T, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, content := range files {
		if err := errors.Join(w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}), second(w.Write([]byte(content)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func second(_ int, err error) error { return err }

func gzipped(t *testing.T, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if err := errors.Join(second(z.Write(raw)), z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestLayers(t *testing.T) {
	w := newWorld(t)
	plain, packed := tarOf(t, map[string]string{"./a.yaml": "a", "notes.txt": "n"}), gzipped(t, tarOf(t, map[string]string{"b.yaml": "b", ".sourceignore": "*.txt\n", "x.txt": "x"}))
	w.pushLayers("v1",
		ocispec.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar", Data: plain},
		ocispec.Descriptor{MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Data: packed},
		ocispec.Descriptor{MediaType: "application/yaml", Data: []byte("kind: List\n"), Annotations: map[string]string{ocispec.AnnotationTitle: "vm.yaml"}},
		ocispec.Descriptor{MediaType: "text/plain", Data: []byte("plain"), Annotations: map[string]string{ocispec.AnnotationTitle: "../../escape"}},
	)
	tests := map[string]struct {
		options Options
		want    map[string]string
		says    string
	}{
		"the first layer":            {Options{}, map[string]string{"a.yaml": "a", "notes.txt": "n"}, ""},
		"by media type":              {Options{LayerMediaType: "application/vnd.oci.image.layer.v1.tar+gzip"}, map[string]string{"b.yaml": "b", ".sourceignore": "*.txt\n"}, ""},
		"with ignore rules":          {Options{Ignore: "notes.txt"}, map[string]string{"a.yaml": "a"}, ""},
		"copied, without any":        {Options{LayerMediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Copy: true, Ignore: "*"}, map[string]string{"b.yaml": "b", ".sourceignore": "*.txt\n", "x.txt": "x"}, ""},
		"one file":                   {Options{LayerMediaType: "application/yaml", Copy: true}, map[string]string{"vm.yaml": "kind: List\n"}, ""},
		"one file of a hostile name": {Options{LayerMediaType: "text/plain", Copy: true}, map[string]string{"layer": "plain"}, ""},
		"no archive":                 {Options{LayerMediaType: "application/yaml"}, nil, "layerSelector.operation"},
		"no such layer":              {Options{LayerMediaType: "application/zip"}, nil, "there are application/vnd.oci.image.layer.v1.tar"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := w.repository()
			revision, err := r.Resolve(t.Context(), Ref{Tag: "v1"})
			if err != nil {
				t.Fatal(err)
			}
			bundle, err := r.Fetch(t.Context(), revision, test.options)
			if test.says != "" {
				if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), test.says) {
					t.Fatalf("Fetch() = %v, want ErrRefused with %q", err, test.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer bundle.Close()
			if diff := cmp.Diff(test.want, files(t, bundle)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
	w.nothingLeft()
}

func TestFailures(t *testing.T) {
	w := newWorld(t)
	w.push(sample, "v1")
	tests := map[string]struct {
		change func(*Remote)
		err    error
		says   string
	}{
		"a wrong password":        {func(r *Remote) { r.Logins[0].Password = "wr0ng-s3cret" }, ErrAuth, "credentials"},
		"no credentials":          {func(r *Remote) { r.Logins = nil }, ErrAuth, "dockerconfigjson"},
		"for another host":        {func(r *Remote) { r.Logins[0].Scope = "registry.example" }, ErrAuth, "dockerconfigjson"},
		"no such repository":      {func(r *Remote) { r.URL += "/other" }, ErrNotFound, "no such repository"},
		"nobody is there":         {func(r *Remote) { r.URL = "oci://127.0.0.1:1/team/vms" }, ErrUnreachable, ""},
		"TLS where there is none": {func(r *Remote) { r.Insecure = false }, ErrUnreachable, "HTTPS"},
		"a tag in the URL":        {func(r *Remote) { r.URL += ":v1" }, ErrRefused, "ref.tag"},
		"another scheme":          {func(r *Remote) { r.URL = "https://registry.example/x" }, ErrRefused, "oci://"},
		"a file":                  {func(r *Remote) { r.URL = "file:///etc/passwd" }, ErrRefused, "oci://"},
		"credentials in it":       {func(r *Remote) { r.URL = "oci://me:s3cr3t@registry.example/x" }, ErrRefused, "credentials"},
		"no repository":           {func(r *Remote) { r.URL = "oci://registry.example" }, ErrRefused, "names no repository"},
		"a proxy that is none":    {func(r *Remote) { r.Proxy = Proxy{URL: "gopher://x"} }, ErrRefused, "proxy"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			remote := w.remote
			remote.Logins = append([]Login(nil), w.remote.Logins...)
			test.change(&remote)
			repository, err := w.client.Repository(remote)
			if err == nil {
				_, err = repository.Resolve(t.Context(), Ref{Tag: "v1"})
			}
			if !errors.Is(err, test.err) || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("error = %v, want %v with %q", err, test.err, test.says)
			}
			for _, secret := range []string{"wr0ng-s3cret", "s3cr3t", w.remote.Logins[0].Password} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds the secret: %v", err)
				}
			}
		})
	}
}

func TestTagAndManifest(t *testing.T) {
	w := newWorld(t)
	pushed := w.push(sample, "v1")
	r := w.repository()
	got, err := r.Tag(t.Context(), "v1", "prod")
	if err != nil || got != pushed {
		t.Fatalf("Tag() = %s, %v; want %s", got, err, pushed)
	}
	tags, err := r.Tags(t.Context())
	if diff := cmp.Diff([]string{"prod", "v1"}, tags); err != nil || diff != "" {
		t.Errorf("tags: %v (-want +got):\n%s", err, diff)
	}
	raw, desc, err := r.Manifest(t.Context(), pushed)
	if err != nil || digest.FromBytes(raw) != desc.Digest || desc.Digest.String() != pushed {
		t.Errorf("Manifest() = %v, %v", desc, err)
	}
}

func TestDockerConfig(t *testing.T) {
	const raw = `{"auths": {
	  "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
	  "registry.example": {"username": "all", "password": "pw"},
	  "registry.example/team": {"username": "team", "password": "pw"},
	  "*.wild.example": {"identitytoken": "token"},
	  "registry.example:5000": {"registrytoken": "bearer"}}}`
	logins, err := ParseDockerConfig([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		host, repository string
		want             Login
	}{
		"Docker Hub":      {"docker.io", "library/x", Login{Scope: "docker.io", Username: "hub", Password: "pw"}},
		"a host":          {"registry.example", "other", Login{Scope: "registry.example", Username: "all", Password: "pw"}},
		"a path":          {"registry.example", "team/x", Login{Scope: "registry.example/team", Username: "team", Password: "pw"}},
		"not half a name": {"registry.example", "teammate/x", Login{Scope: "registry.example", Username: "all", Password: "pw"}},
		"a port":          {"registry.example:5000", "x", Login{Scope: "registry.example:5000", RegistryToken: "bearer"}},
		"a wild card":     {"a.wild.example", "x", Login{Scope: "*.wild.example", IdentityToken: "token"}},
		"not two labels":  {"a.b.wild.example", "x", Login{}},
		"another port":    {"registry.example:5001", "x", Login{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, _ := find(logins, test.host, test.repository)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("login (-want +got):\n%s", diff)
			}
		})
	}
	for name, bad := range map[string]string{"not JSON": "s3cr3t", "not base64": `{"auths":{"h":{"auth":"s3cr3t!"}}}`, "no colon": `{"auths":{"h":{"auth":"czNjcjN0"}}}`} {
		if _, err := ParseDockerConfig([]byte(bad)); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v, want an error without the content", name, err)
		}
	}
}
