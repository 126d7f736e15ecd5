package instance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"slipway.dev/slipway/local/node/qemu"
	"slipway.dev/slipway/local/node/volume"
)

// Record is what must be known of an instance's process after a restart of its keeper.
type Record struct {
	UID         types.UID         `json:"uid"`
	Namespace   string            `json:"namespace"`
	Name        string            `json:"name"`
	Process     qemu.Process      `json:"process"`
	Accelerator string            `json:"accelerator"`
	Board       string            `json:"board,omitempty"` // with its version; empty when QEMU did not tell
	SSHPort     int               `json:"sshPort,omitempty"`
	Bases       []string          `json:"bases,omitempty"`   // digests of base images that the instance's own overlays need
	Volumes     map[string]string `json:"volumes,omitempty"` // ids of volumes in use, and the disks that show them
	Started     time.Time         `json:"started"`
	// Stopping is when the guest was first asked to power down.
	Stopping *time.Time `json:"stopping,omitempty"`
	// Parked says that the host stopped the guest for its own sake: it is started again with the host's next start.
	Parked bool `json:"parked,omitempty"`
	// Frozen is until when the guest's file systems may be frozen. It is noted before they are, so that nothing leaves
	// them so.
	Frozen *time.Time `json:"frozen,omitempty"`
}

// Key is the instance's name.
func (r Record) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: r.Namespace, Name: r.Name}
}

// files are the names inside an instance's directory.
type files struct{ dir, sockets string }

func (f files) record() string          { return filepath.Join(f.dir, "record.json") }
func (f files) console() string         { return filepath.Join(f.dir, "console.log") }
func (f files) seed() string            { return filepath.Join(f.dir, "seed.iso") }
func (f files) uefiVars() string        { return filepath.Join(f.dir, "uefi-vars.fd") }
func (f files) disk(name string) string { return filepath.Join(f.dir, "disk-"+name+".qcow2") }

func (f files) logs() qemu.Logs {
	return qemu.Logs{Events: filepath.Join(f.dir, "events.log"), Messages: filepath.Join(f.dir, "qemu.log")}
}

func (f files) listen() qemu.Sockets {
	return qemu.Sockets{
		Monitor: filepath.Join(f.sockets, "qmp.sock"),
		Serial:  filepath.Join(f.sockets, "serial.sock"),
		Agent:   filepath.Join(f.sockets, "agent.sock"),
		VNC:     filepath.Join(f.sockets, "vnc.sock"),
	}
}

// ErrForeignDirectory says that others can reach into a directory that must be the node's own.
var ErrForeignDirectory = errors.New("a directory for sockets belongs to somebody else or is open to others")

// socketLimit keeps the longest socket path below the kernel's limit of 108 bytes.
const socketLimit = 100 - len("/serial.sock")

// filesOf places an instance's files. Sockets move to a short directory when the data directory's name is long.
func filesOf(root string, uid types.UID) files {
	dir := filepath.Join(root, string(uid))
	if len(dir) <= socketLimit {
		return files{dir: dir, sockets: dir}
	}
	sum := sha256.Sum256([]byte(dir))
	return files{dir: dir, sockets: filepath.Join(os.TempDir(), "slipway-"+hex.EncodeToString(sum[:8]))}
}

func (f files) make() error {
	for _, dir := range []string{f.dir, f.sockets} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make instance directory: %w", err)
		}
	}
	return ownOnly(f.sockets)
}

// ownOnly refuses a directory that somebody else could have put there before: who owns it owns the guest's monitor.
func ownOnly(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at instance directory: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Getuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%w: %s; remove it", ErrForeignDirectory, dir)
	}
	return nil
}

func (f files) remove() error {
	for _, dir := range []string{f.dir, f.sockets} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove instance directory: %w", err)
		}
	}
	return nil
}

func (f files) save(r Record) error { return volume.WriteJSON(f.record(), r) }

func (f files) load() (Record, error) {
	var r Record
	data, err := os.ReadFile(f.record())
	if err != nil {
		return r, fmt.Errorf("read instance record: %w", err)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("read instance record %s: %w", f.record(), err)
	}
	return r, nil
}
