// Package version says which version of Slipway a binary is.
//
// In comes a value that the linker sets; out goes the text that binaries print.
package version

import (
	"fmt"
	"runtime"
)

// Version is set at build time.
var Version = "dev"

// Line describes a binary of the given name, with the toolchain and platform that it was built by and for.
func Line(binary string) string {
	return fmt.Sprintf("%s %s (%s, %s/%s)", binary, Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
