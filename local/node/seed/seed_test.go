package seed

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kdomanski/iso9660"
)

func TestWriteIsReadableBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seed.iso")
	data := Data{InstanceID: "web.shop", Hostname: "web", UserData: []byte("#cloud-config\n"), NetworkConfig: []byte("version: 2\n")}
	if err := Write(path, Data{InstanceID: "old"}); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, data); err != nil {
		t.Fatal(err)
	}
	got, label := unpack(t, path)
	var meta map[string]string
	if err := json.Unmarshal([]byte(got["meta-data"]), &meta); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"instance-id": "web.shop", "local-hostname": "web"}, meta); diff != "" {
		t.Errorf("meta-data (-want +got):\n%s", diff)
	}
	delete(got, "meta-data")
	if diff := cmp.Diff(map[string]string{"user-data": "#cloud-config\n", "network-config": "version: 2\n"}, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if label != "cidata" {
		t.Errorf("label %q, want cidata", label)
	}
	if stat, _ := os.Stat(path); stat.Mode().Perm() != 0o600 {
		t.Errorf("mode %v lets others read secrets", stat.Mode())
	}
}

func unpack(t *testing.T, path string) (files map[string]string, label string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	image, err := iso9660.OpenImage(file)
	if err != nil {
		t.Fatal(err)
	}
	label, err = image.Label()
	if err != nil {
		t.Fatal(err)
	}
	root, err := image.RootDir()
	if err != nil {
		t.Fatal(err)
	}
	children, err := root.GetChildren()
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for _, child := range children {
		content, err := io.ReadAll(child.Reader())
		if err != nil {
			t.Fatal(err)
		}
		files[child.Name()] = string(content)
	}
	return files, label
}
