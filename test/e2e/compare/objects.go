package compare

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	virtv1 "kubevirt.io/api/core/v1"
)

// Objects are what an engine keeps of a machine.
type Objects struct {
	Machine  *virtv1.VirtualMachine
	Instance *virtv1.VirtualMachineInstance // nil when there is none
	Claims   Claims
}

// Claims are those of a machine's disks, by the name of the volume.
type Claims map[string]*corev1.PersistentVolumeClaim

//go:embed recorded
var recordings embed.FS

// ErrNotRecorded says that there is no recording of a point.
var ErrNotRecorded = errors.New("stock KubeVirt was not recorded there")

// Recorded reads the recording of a point.
func Recorded(at Point) (Objects, error) {
	var o Objects
	for name, into := range map[string]any{"machine": &o.Machine, "instance": &o.Instance, "claims": &o.Claims} {
		text, err := recordings.ReadFile(file("recorded", at, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return o, fmt.Errorf("read the recording of %s: %w", at, err)
		}
		if err := json.Unmarshal(text, into); err != nil {
			return o, fmt.Errorf("read the recorded %s of %s: %w", name, at, err)
		}
	}
	if o.Machine == nil {
		return o, fmt.Errorf("%s: %w", at, ErrNotRecorded)
	}
	return o, nil
}

func file(dir string, at Point, name string) string {
	return filepath.Join(dir, string(at), name+".json")
}

// write makes a recording in a directory, in place of one that is there.
func (o Objects) write(dir string, at Point) error {
	if err := os.RemoveAll(filepath.Join(dir, string(at))); err != nil {
		return fmt.Errorf("remove the last recording of %s: %w", at, err)
	}
	if err := os.MkdirAll(filepath.Join(dir, string(at)), 0o755); err != nil {
		return fmt.Errorf("record %s: %w", at, err)
	}
	o.Machine.SetManagedFields(nil)
	objects := map[string]any{"machine": o.Machine}
	if o.Instance != nil {
		o.Instance.SetManagedFields(nil)
		objects["instance"] = o.Instance
	}
	if len(o.Claims) > 0 {
		for _, claim := range o.Claims {
			claim.SetManagedFields(nil)
		}
		objects["claims"] = o.Claims
	}
	for name, object := range objects {
		text, err := json.MarshalIndent(object, "", " ")
		if err != nil {
			return fmt.Errorf("record %s of %s: %w", name, at, err)
		}
		if err := os.WriteFile(file(dir, at, name), append(text, '\n'), 0o644); err != nil {
			return fmt.Errorf("record %s of %s: %w", name, at, err)
		}
	}
	return nil
}
