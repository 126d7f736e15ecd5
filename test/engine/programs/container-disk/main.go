// Command container-disk keeps a container alive whose image holds a disk, for KubeVirt to find the image's files by.
//
// KubeVirt copies it into the pod and runs it in the disk's image, which has nothing else. It listens at PATH.sock, by
// which the container is recognized, and ends when that file is taken away: signals do not reach it in every runtime.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// lookEvery is how often the socket's file is looked for.
const lookEvery = time.Second

func main() {
	path := flag.String("copy-path", "", "where to listen, without the ending .sock")
	noop := flag.Bool("no-op", false, "end at once: the image was pulled, which is all that was wanted")
	flag.Parse()
	if *noop {
		return
	}
	if err := run(*path); err != nil {
		fmt.Fprintln(os.Stderr, "container-disk:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	if path == "" {
		return errors.New("--copy-path is needed")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("make the socket's directory: %w", err)
	}
	socket := path + ".sock"
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	defer listener.Close()
	go hangUp(listener)
	return wait(socket)
}

// wait returns at a signal, or when the socket's file is gone.
func wait(socket string) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	for {
		select {
		case <-signals:
			return nil
		case <-time.After(lookEvery):
			if _, err := os.Stat(socket); errors.Is(err, os.ErrNotExist) {
				return nil
			}
		}
	}
}

// hangUp answers those who try whether somebody is there.
func hangUp(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		conn.Close()
	}
}
