package datadir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxSocketPath keeps below the 104 bytes (macOS) and 108 bytes (Linux) that
// fit into a Unix socket address.
const maxSocketPath = 100

// longestSocketName is how long a socket's own name may be.
const longestSocketName = 16

// Sockets returns a directory for Unix sockets that only this user can enter:
// inside the data directory, or below the system's temporary directory when
// the data directory's path leaves no room for a socket's name.
func (d *Dir) Sockets() (string, error) {
	dir := socketsFor(d.root, os.TempDir())
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("create socket directory: %w", err)
	}
	if err := private(dir); err != nil {
		return "", fmt.Errorf("use socket directory: %w", err)
	}
	return dir, nil
}

func socketsFor(root, temp string) string {
	dir := filepath.Join(root, socketDir)
	if len(dir)+1+longestSocketName <= maxSocketPath {
		return dir
	}
	sum := sha256.Sum256([]byte(root))
	return filepath.Join(temp, "slipway-"+hex.EncodeToString(sum[:8]))
}

// private refuses a directory that another user owns or can enter. Names in
// the temporary directory are free for anyone to take first.
func private(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	owner, known := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory; remove it", dir)
	case known && int(owner.Uid) != os.Getuid():
		return fmt.Errorf("%s belongs to another user; set TMPDIR or choose a shorter data directory", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s is open to other users; run chmod 700 on it", dir)
	}
	return nil
}
