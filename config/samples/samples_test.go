package samples_test

import (
	"io/fs"
	"strings"
	"testing"

	"slipway.dev/slipway/config/crd"
	"slipway.dev/slipway/config/samples"
	"slipway.dev/slipway/render/kustomize"
	"slipway.dev/slipway/render/schema"
)

// TestTheDemoIsValid also takes a checksum that YAML would read as a number.
func TestTheDemoIsValid(t *testing.T) {
	demo := samples.Demo{ImageURL: "http://127.0.0.1:1/sample.qcow2", ImageSHA256: strings.Repeat("0", 64), SSHPublicKey: "ssh-ed25519 AAAA someone\n"}
	tree, err := demo.Tree()
	if err != nil {
		t.Fatal(err)
	}
	objects, err := kustomize.Render(t.Context(), tree, kustomize.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 3 {
		t.Errorf("%d objects, want an image, a disk and a machine", len(objects))
	}
	validator, err := schema.FromFS(crd.Files)
	if err != nil {
		t.Fatal(err)
	}
	if problems := validator.Validate(t.Context(), objects, tree); len(problems) > 0 {
		t.Error(problems)
	}
	for _, placeholder := range []string{"IMAGE_URL", "IMAGE_SHA256", "SSH_PUBLIC_KEY"} {
		if found := grep(t, tree, placeholder); found != "" {
			t.Errorf("%s is left open in %s", placeholder, found)
		}
	}
}

func grep(t *testing.T, tree fs.FS, text string) string {
	t.Helper()
	names, err := fs.Glob(tree, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(content), text) {
			return name
		}
	}
	return ""
}
