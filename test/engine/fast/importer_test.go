//go:build e2e

package fast

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	cdiv1 "kubevirt.io/containerized-data-importer-api/pkg/apis/core/v1beta1"

	"slipway.dev/slipway/test/engine/cdi"
)

// Environment variables by which a process in namespaces of its own knows what to do.
const (
	insideRoot    = "SLIPWAY_FAST_ROOT"
	insideAddress = "SLIPWAY_FAST_ADDRESS"
	insideProgram = "SLIPWAY_FAST_PROGRAM"
)

// Files in the importer's root.
const (
	bridgeSocket  = "bridge.sock"
	importedDisk  = "data/disk.img"
	importMessage = "dev/termination-log"
)

// importDisk runs CDI's own importer as its controller would, and gives the disk that it wrote. The importer writes to
// fixed places and listens on all addresses, so it gets a root and a network of its own; a socket leads to DVCR.
func (p *plane) importDisk(t *testing.T, volume *cdiv1.DataVolume, login *corev1.Secret, registry string) []byte {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("CDI's importer needs a root directory of its own, which only root can make: run `make e2e-engine-fast` as root to see it import")
	}
	root := importerRoot(t)
	bridge(t, filepath.Join(root, bridgeSocket), registry)
	var output bytes.Buffer
	command := exec.Command("/proc/self/exe", "-test.run=^TestInsideNamespaces$", "-test.v")
	command.Stdout, command.Stderr = &output, &output
	command.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	command.Env = append(os.Environ(),
		insideRoot+"="+root, insideAddress+"="+registry, insideProgram+"="+p.programs[cdi.Importer],
		"IMPORTER_SOURCE=registry", "IMPORTER_CONTENTTYPE=kubevirt", "IMPORTER_ENDPOINT="+*volume.Spec.Source.Registry.URL,
		"IMPORTER_ACCESS_KEY_ID="+string(login.Data["accessKeyId"]), "IMPORTER_SECRET_KEY="+string(login.Data["secretKey"]),
		"IMPORTER_IMAGE_SIZE="+volume.Spec.Storage.Resources.Requests.Storage().String(),
		"INSECURE_TLS=true", "FILESYSTEM_OVERHEAD=0", "PREALLOCATION=false")
	if err := command.Run(); err != nil {
		message, _ := os.ReadFile(filepath.Join(root, importMessage))
		t.Fatalf("CDI's importer ended with %v, saying %q:\n%s", err, message, tail(output.String()))
	}
	content, err := os.ReadFile(filepath.Join(root, importedDisk))
	must(t, err)
	return content
}

// importerRoot lays out what an importer's pod has.
func importerRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, dir := range []string{"usr", "etc", "proc", "dev", "tmp", "data", "scratch"} {
		must(t, os.MkdirAll(filepath.Join(root, dir), 0o755))
	}
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		must(t, os.Symlink("usr/"+dir, filepath.Join(root, dir)))
	}
	for _, file := range []string{"importer", importMessage, "dev/null", "dev/urandom"} {
		must(t, os.WriteFile(filepath.Join(root, file), nil, 0o755))
	}
	return root
}

// bridge carries connections from a socket in the file system, which any network namespace reaches, to an address.
func bridge(t *testing.T, socket, address string) {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	must(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go relay(listener, "tcp", address)
}

// relay connects whatever arrives to an address, until the listener closes.
func relay(listener net.Listener, network, address string) {
	for {
		from, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			to, err := net.Dial(network, address)
			if err != nil {
				return
			}
			defer to.Close()
			go func() { _, _ = io.Copy(to, from) }()
			_, _ = io.Copy(from, to)
		}()
	}
}

// TestInsideNamespaces is not a test but the first process in the importer's namespaces.
func TestInsideNamespaces(t *testing.T) {
	root := os.Getenv(insideRoot)
	if root == "" {
		t.Skip("runs in namespaces that another test makes")
	}
	// What is mounted here must not be seen outside.
	must(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	for from, to := range map[string]string{
		"/usr": "usr", "/etc": "etc", "/proc": "proc", "/dev/null": "dev/null", "/dev/urandom": "dev/urandom", os.Getenv(insideProgram): "importer",
	} {
		must(t, syscall.Mount(from, filepath.Join(root, to), "", syscall.MS_BIND|syscall.MS_REC, ""))
	}
	must(t, exec.Command("ip", "link", "set", "lo", "up").Run())
	listener, err := net.Listen("tcp", os.Getenv(insideAddress))
	must(t, err)
	go relay(listener, "unix", filepath.Join(root, bridgeSocket))
	command := exec.Command("/importer", "-v=1")
	command.Dir = "/"
	command.Env = append(importerEnvironment(), "PATH=/usr/bin:/bin", "HOME=/tmp")
	command.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

// importerEnvironment is what the importer is told, without what concerns the test.
func importerEnvironment() []string {
	var out []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "IMPORTER_") || name == "INSECURE_TLS" || name == "FILESYSTEM_OVERHEAD" || name == "PREALLOCATION" {
			out = append(out, entry)
		}
	}
	return out
}
