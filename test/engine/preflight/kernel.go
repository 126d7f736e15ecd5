package preflight

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrKernel is a kernel that cannot run nodes.
var ErrKernel = errors.New("the kernel lacks what nodes need")

// ProbeCommand is the hidden command that a program which calls [Kernel] has to
// have; it calls [Probe].
const ProbeCommand = "kernel-probe"

// feature of the kernel that is tried.
type feature struct {
	name string
	// remedy brings it where it is a module.
	remedy string
	try    func() error
}

// features are tried in mount and network namespaces of their own.
var features = []feature{
	{"overlayfs", "modprobe overlay", tryOverlay},
	{"bridges", "modprobe bridge", trying("ip", "link", "add", "probe-bridge", "type", "bridge")},
	{"pairs of links", "modprobe veth", trying("ip", "link", "add", "probe-a", "type", "veth", "peer", "name", "probe-b")},
	{"TUN devices", "modprobe tun", having("/dev/net/tun")},
	{"filtering of bridged packets", "modprobe br_netfilter", having("/proc/sys/net/bridge/bridge-nf-call-iptables")},
	{"masquerading", "modprobe nft_compat xt_MASQUERADE xt_comment", rule("POSTROUTING", "-m", "comment", "--comment", "probe", "-j", "MASQUERADE")},
	{"translation of addresses", "modprobe nft_compat xt_nat", rule("OUTPUT", "-p", "tcp", "-j", "DNAT", "--to-destination", "192.0.2.1:1")},
	{"spreading over endpoints", "modprobe xt_statistic xt_mark", rule("OUTPUT", "-m", "statistic", "--mode", "random", "--probability", "0.5", "-j", "MARK", "--or-mark", "1")},
	{"matching of address types", "modprobe xt_addrtype", rule("OUTPUT", "-m", "addrtype", "--dst-type", "LOCAL", "-j", "ACCEPT")},
	{"connection tracking", "modprobe xt_conntrack", rule("OUTPUT", "-m", "conntrack", "--ctstate", "NEW", "-j", "ACCEPT")},
}

// Kernel asks the kernel for everything that nodes need, by trying it in the
// namespaces of a child process, which end with it.
func Kernel(ctx context.Context, executable string) error {
	cmd := exec.CommandContext(ctx, executable, ProbeCommand)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWCGROUP}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &ended):
		return fmt.Errorf("%w:\n%s", ErrKernel, strings.TrimRight(output.String(), "\n"))
	}
	return fmt.Errorf("%w: namespaces cannot be made: %w", ErrKernel, err)
}

// Probe tries all features and describes those that are missing.
func Probe() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keep mounts private: %w", err)
	}
	return probe(features)
}

func probe(features []feature) error {
	var missing []error
	for _, f := range features {
		if err := f.try(); err != nil {
			missing = append(missing, fmt.Errorf("  %s (try %s): %w", f.name, f.remedy, err))
		}
	}
	return errors.Join(missing...)
}

func tryOverlay() error {
	// The mount goes with the namespace, and what is in it.
	const dir = "/tmp"
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return fmt.Errorf("make room to try: %w", err)
		}
	}
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir)
	if err := unix.Mount("overlay", dir+"/merged", "overlay", 0, options); err != nil {
		return fmt.Errorf("mount overlay: %w", err)
	}
	return nil
}

func trying(args ...string) func() error {
	return func() error {
		if output, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(output))
		}
		return nil
	}
}

func rule(chain string, match ...string) func() error {
	return trying(append([]string{"iptables", "-t", "nat", "-A", chain}, match...)...)
}

func having(path string) func() error {
	return func() error {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("look for it: %w", err)
		}
		return nil
	}
}
