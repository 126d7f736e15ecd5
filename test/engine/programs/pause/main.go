// Command pause is the first process of a pod: it does nothing until it is told to end, and buries orphans.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			return
		}
		bury()
	}
}

// bury takes the status of every child that has ended.
func bury() {
	for {
		process, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if process <= 0 || (err != nil && err != syscall.EINTR) {
			return
		}
	}
}
