package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"

	"slipway.dev/slipway/local/node/instance"
	"slipway.dev/slipway/local/node/qemu"
)

// ErrMissing says that the host lacks programs.
var ErrMissing = errors.New("the host lacks programs that guests need")

// Packages are the Debian packages whose programs a node runs.
func Packages() []string { return []string{"qemu-system-x86", "qemu-utils", "ovmf"} }

// Preflight says what the host lacks, and the line that brings it.
func Preflight() error {
	return preflight(func(program string) bool { _, err := exec.LookPath(program); return err == nil },
		func(file string) bool { _, err := os.Stat(file); return err == nil })
}

func preflight(program, file func(string) bool) error {
	var packages []string
	for _, need := range []struct {
		have    bool
		pkgName string
	}{
		{program(qemu.Binary), "qemu-system-x86"},
		{program(qemu.ImageTool), "qemu-utils"},
		{file(instance.UEFICode) && file(instance.UEFIVarsTemplate), "ovmf"},
	} {
		if !need.have {
			packages = append(packages, need.pkgName)
		}
	}
	if len(packages) == 0 {
		return nil
	}
	slices.Sort(packages)
	return fmt.Errorf("%w: run apt-get install -y --no-install-recommends %s", ErrMissing, strings.Join(packages, " "))
}
