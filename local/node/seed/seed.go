package seed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/kdomanski/iso9660"
)

// Data is what the guest shall read. Empty user data and network configuration are left out.
type Data struct {
	InstanceID    string
	Hostname      string
	UserData      []byte
	NetworkConfig []byte
}

const label = "cidata"

// Write makes the file, or replaces it.
func Write(path string, d Data) error {
	files, err := d.files()
	if err != nil {
		return fmt.Errorf("write seed %s: %w", path, err)
	}
	next := path + ".partial"
	err = write(next, files)
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		_ = os.Remove(next)
		return fmt.Errorf("write seed %s: %w", path, err)
	}
	return nil
}

func (d Data) files() (map[string][]byte, error) {
	meta, err := json.Marshal(map[string]string{"instance-id": d.InstanceID, "local-hostname": d.Hostname})
	if err != nil {
		return nil, err //nolint:wrapcheck // wrapped by Write
	}
	files := map[string][]byte{"meta-data": meta, "user-data": d.UserData}
	if len(d.NetworkConfig) > 0 {
		files["network-config"] = d.NetworkConfig
	}
	return files, nil
}

func write(path string, files map[string][]byte) error {
	image, err := iso9660.NewWriter()
	if err != nil {
		return err //nolint:wrapcheck // wrapped by Write
	}
	defer func() { _ = image.Cleanup() }()
	for name, content := range files {
		if err := image.AddFile(bytes.NewReader(content), name); err != nil {
			return err //nolint:wrapcheck // wrapped by Write
		}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by Write
	}
	return errors.Join(image.WriteTo(file, label), file.Close())
}
