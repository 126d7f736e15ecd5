package accel

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"slipway.dev/slipway/local/node/qemu"
	"slipway.dev/slipway/local/node/volume"
)

// The accelerators.
const (
	KVM = "kvm"
	TCG = "tcg"
)

// Verdict is an accelerator and why it was taken.
type Verdict struct {
	Accelerator string `json:"accelerator"`
	Reason      string `json:"reason"`
	Boot        string `json:"boot"`
}

// Detect returns the verdict kept in the file, when it is of this boot, and else finds it and keeps it.
func Detect(ctx context.Context, cache string) Verdict {
	boot := qemu.BootID()
	var kept Verdict
	if data, err := os.ReadFile(cache); err == nil && json.Unmarshal(data, &kept) == nil && kept.Boot == boot {
		return kept
	}
	v := decide(readFlags, func() error { return Probe(ctx, KVM) })
	v.Boot = boot
	_ = volume.WriteJSON(cache, v) // without it the next start probes again
	return v
}

func decide(flags func() (string, error), probe func() error) Verdict {
	line, err := flags()
	if err != nil {
		return Verdict{Accelerator: TCG, Reason: "the processor's flags cannot be read: " + err.Error()}
	}
	if !virtualizes(line) {
		return Verdict{Accelerator: TCG, Reason: "the processor shows neither vmx nor svm"}
	}
	if err := probe(); err != nil {
		return Verdict{Accelerator: TCG, Reason: "a probe guest did not run on KVM: " + err.Error()}
	}
	return Verdict{Accelerator: KVM, Reason: "a probe guest ran"}
}

func virtualizes(flags string) bool {
	for _, flag := range strings.Fields(flags) {
		if flag == "vmx" || flag == "svm" {
			return true
		}
	}
	return false
}

func readFlags() (string, error) {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "", err //nolint:wrapcheck // names the file
	}
	defer file.Close()
	return findFlags(file)
}

func findFlags(cpuinfo io.Reader) (string, error) {
	lines := bufio.NewScanner(cpuinfo)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "flags" {
			return value, nil
		}
	}
	return "", errors.Join(lines.Err(), errors.New("no line of flags"))
}

// probeSector is a boot sector that writes 0x10 to port 0xf4 and halts:
// mov al,0x10; out 0xf4,al; cli; hlt
var probeSector = []byte{0xb0, 0x10, 0xe6, 0xf4, 0xfa, 0xf4}

const (
	probeExit    = 0x10<<1 | 1 // what QEMU's debug device makes of 0x10
	probeTimeout = time.Minute // a busy machine needs seconds to translate the firmware
	sectorSize   = 512
)

// Probe runs the probe guest on an accelerator and reports why it failed.
func Probe(ctx context.Context, accelerator string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	dir, err := os.MkdirTemp("", "slipway-probe-")
	if err != nil {
		return fmt.Errorf("run probe guest: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	disk := filepath.Join(dir, "disk")
	sector := make([]byte, sectorSize)
	copy(sector, probeSector)
	sector[sectorSize-2], sector[sectorSize-1] = 0x55, 0xaa
	if err := os.WriteFile(disk, sector, 0o600); err != nil {
		return fmt.Errorf("run probe guest: %w", err)
	}
	out, err := exec.CommandContext(ctx, qemu.Binary, "-nodefaults", "-no-user-config", "-display", "none", "-machine",
		"pc,accel="+accelerator, "-m", "16M", "-no-reboot", "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
		"-drive", "if=ide,format=raw,readonly=off,file="+disk).CombinedOutput()
	return judge(ctx, string(out), err)
}

func judge(ctx context.Context, out string, err error) error {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("the probe guest hung: %w", ctx.Err())
	case errors.As(err, &exit) && exit.ExitCode() == probeExit:
		return nil
	case err == nil:
		return errors.New("the probe guest ended without its sign")
	}
	return fmt.Errorf("the probe guest failed: %w: %s", err, strings.TrimSpace(out))
}
