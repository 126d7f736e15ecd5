package qemu_test

import (
	"fmt"
	"strings"

	"slipway.dev/slipway/local/node/qemu"
)

func ExampleArgs() {
	args := qemu.Args(qemu.Spec{
		Name: "shop/web", Accelerator: "tcg", Machine: qemu.Machine{Type: "q35"}, MemoryMiB: 256,
		CPU: qemu.CPU{Model: "max", Sockets: 1, Cores: 2, Threads: 1},
	})
	for i, arg := range args {
		if strings.HasPrefix(arg, "-smp") || arg == "-m" {
			fmt.Println(arg, args[i+1])
		}
	}
	// Output:
	// -smp 2,sockets=1,cores=2,threads=1
	// -m 256M
}

func ExampleReadExit() {
	log := `{"event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-shutdown"}}`
	fmt.Println(qemu.ReadExit(strings.NewReader(log)))
	// Output: GuestShutdown
}
