package node

import (
	_ "embed" // the list of packages
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

//go:embed packages.txt
var packages string

// Packages are the Debian packages whose programs a node runs. The same file tells make what to install.
func Packages() []string { return strings.Fields(packages) }

// Preflight says what the host lacks, and the line that brings it.
func Preflight() error {
	return preflight(func(program string) bool { _, err := exec.LookPath(program); return err == nil },
		func(file string) bool { _, err := os.Stat(file); return err == nil })
}

func preflight(program, file func(string) bool) error {
	var missing []string
	for _, need := range []struct {
		have    bool
		pkgName string
	}{
		{program(qemu.Binary), "qemu-system-x86"},
		{program(qemu.ImageTool), "qemu-utils"},
		{file(instance.UEFICode) && file(instance.UEFIVarsTemplate), "ovmf"},
	} {
		if !need.have {
			missing = append(missing, need.pkgName)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("%w: run apt-get install -y --no-install-recommends %s", ErrMissing, strings.Join(missing, " "))
}
