package volume

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// WriteJSON replaces a file by an object, as a whole or not at all.
func WriteJSON(path string, object any) error {
	data, err := json.MarshalIndent(object, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	next := path + partialSuffix
	if err := writeSynced(next, append(data, '\n')); err != nil {
		_ = os.Remove(next)
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func writeSynced(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err //nolint:wrapcheck // wrapped by WriteJSON
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}
