// Package cached knows which files of a cache are in use, and removes the others.
//
// In comes the path of a file each time that it is used, and later the directory with the time up to which files that nobody used
// may go. What is used is noted as the file's time of modification. The package never touches what was used since, and no file
// named lock.
package cached

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Use notes that files are used at a time.
func Use(at time.Time, paths ...string) error {
	for _, path := range paths {
		if err := os.Chtimes(path, time.Time{}, at); err != nil {
			return fmt.Errorf("note the use of a cached file: %w", err)
		}
	}
	return nil
}

// Prune removes what was not used since a time below a directory, also what builds left unfinished, and returns how many bytes
// that were. A directory that is not there holds nothing.
func Prune(dir string, since time.Time) (freed int64, err error) {
	var dirs []string
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case entry.IsDir():
			dirs = append(dirs, path)
			return nil
		case entry.Name() == lockFile:
			return nil
		}
		bytes, err := prune(path, entry, since)
		freed += bytes
		return err
	})
	if err != nil {
		return freed, fmt.Errorf("prune %s: %w", dir, err)
	}
	for _, path := range slices.Backward(dirs) {
		_ = os.Remove(path) // stays when something is in it
	}
	return freed, nil
}

// lockFile is that of package lock's users.
const lockFile = "lock"

func prune(path string, entry fs.DirEntry, since time.Time) (int64, error) {
	info, err := entry.Info()
	if err != nil {
		return 0, fmt.Errorf("look at %s: %w", path, err)
	}
	if !info.ModTime().Before(since) {
		return 0, nil
	}
	if err := os.Remove(path); err != nil {
		return 0, fmt.Errorf("remove what nobody used: %w", err)
	}
	return info.Size(), nil
}
