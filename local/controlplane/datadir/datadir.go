package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// Names of what stands in the data directory, where other programs rely on
// them: LockFile tells which process serves the directory, Kubeconfig how to
// reach it, and LogFile is where whoever starts the process sends its output.
const (
	LockFile   = "lock"
	Kubeconfig = "kubeconfig"
	LogFile    = "controlplane.log"

	portFile  = "port"
	etcdDir   = "etcd"
	certsDir  = "certs"
	socketDir = "sock"
)

// ErrInUse is returned by Open when another process serves the directory.
var ErrInUse = errors.New("data directory is in use")

// Holder describes, inside the lock file, the process that serves a directory.
// The kernel's lock is the truth; this is for those who wait for it.
type Holder struct {
	// PID is the process that holds the lock.
	PID int `json:"pid"`
	// Parent is the process whose end also ends the holder; 0 when the holder
	// outlives whoever started it.
	Parent int `json:"parent,omitempty"`
}

// Dir is an open, locked data directory.
type Dir struct {
	root string
	lock *os.File
	// created says that the directory held no data when it was opened.
	created bool
}

// Open creates the directory when needed, closes it to other users, and locks
// it for this process. The lock ends with the process, however that ends.
func Open(root string, holder Holder) (*Dir, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("resolve data directory %q: %w", root, err)
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory: %w", err)
	}
	if err := os.Chmod(root, 0o700); err != nil {
		return nil, fmt.Errorf("close data directory to other users: %w", err)
	}
	created, err := empty(root)
	if err != nil {
		return nil, err
	}
	lock, err := acquire(filepath.Join(root, LockFile), holder)
	if err != nil {
		return nil, err
	}
	return &Dir{root: root, lock: lock, created: created}, nil
}

// empty says that nothing but a log stands in the directory yet.
func empty(root string) (bool, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return false, fmt.Errorf("read data directory: %w", err)
	}
	return !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() != LogFile }), nil
}

// acquire takes the POSIX record lock on the whole file. Record locks, unlike
// flock(2), let others ask the kernel who holds them.
func acquire(path string, holder Holder) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := lockAndDescribe(file, holder); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func lockAndDescribe(file *os.File, holder Holder) error {
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	err := unix.FcntlFlock(file.Fd(), unix.F_SETLK, &whole)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("lock %s: %w: stop the control plane that uses it, or name another directory", file.Name(), ErrInUse)
	}
	if err != nil {
		return fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	text, err := json.Marshal(holder)
	if err != nil {
		return fmt.Errorf("encode lock holder: %w", err)
	}
	if err := file.Truncate(0); err != nil {
		return fmt.Errorf("clear lock file: %w", err)
	}
	if _, err := file.WriteAt(text, 0); err != nil {
		return fmt.Errorf("write lock file: %w", err)
	}
	return nil
}

// Close gives the lock back.
func (d *Dir) Close() error {
	if err := d.lock.Close(); err != nil {
		return fmt.Errorf("release data directory: %w", err)
	}
	return nil
}

// Remove deletes the directory with all its content. It refuses one that held
// anything but a log before it was opened.
func (d *Dir) Remove() error {
	if !d.created {
		return fmt.Errorf("remove %s: it held files before the control plane started; delete it by hand", d.root)
	}
	if err := os.RemoveAll(d.root); err != nil {
		return fmt.Errorf("remove data directory: %w", err)
	}
	return nil
}

// Root is the directory's absolute path.
func (d *Dir) Root() string { return d.root }

// Kubeconfig is the path of the admin kubeconfig.
func (d *Dir) Kubeconfig() string { return filepath.Join(d.root, Kubeconfig) }

// Etcd is the directory of etcd's write-ahead log and database.
func (d *Dir) Etcd() string { return filepath.Join(d.root, etcdDir) }

// Certs is the directory of the certificate authority and what it issued.
func (d *Dir) Certs() string { return filepath.Join(d.root, certsDir) }

// WriteFile replaces a file in one step, so that a reader sees the old content
// or the new and never a part, and a crash leaves one of the two.
func WriteFile(path string, content []byte, mode fs.FileMode) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	if err := fill(file, content, mode); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}

func fill(file *os.File, content []byte, mode fs.FileMode) error {
	_, writeErr := file.Write(content)
	return errors.Join(writeErr, file.Chmod(mode), file.Sync(), file.Close())
}
