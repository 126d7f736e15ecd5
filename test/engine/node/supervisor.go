package node

import (
	"fmt"
	"log"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// restartAfter is how long a service that ended stays away.
const restartAfter = time.Second

// supervisor starts services again when they end, and takes the exit status of
// every orphan of the node, as a first process has to.
type supervisor struct {
	mu      sync.Mutex
	running map[int]Service
}

func newSupervisor() *supervisor { return &supervisor{running: map[int]Service{}} }

func (s *supervisor) start(services []Service) error {
	children := make(chan os.Signal, 1)
	signal.Notify(children, syscall.SIGCHLD)
	for _, service := range services {
		if err := s.startOne(service); err != nil {
			return err
		}
	}
	go func() {
		for {
			s.bury()
			<-children
		}
	}()
	return nil
}

// startOne holds the lock until the process is known: it may have ended by then.
func (s *supervisor) startOne(service Service) error {
	output, err := os.OpenFile(filepath.Join(LogDir, service.Name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open log of %s: %w", service.Name, err)
	}
	defer output.Close()
	cmd := exec.Command(service.Args[0], service.Args[1:]...)
	cmd.Env = append(os.Environ(), service.Env...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", service.Name, err)
	}
	s.running[cmd.Process.Pid] = service
	if err := cmd.Process.Release(); err != nil {
		return fmt.Errorf("let go of %s: %w", service.Name, err)
	}
	return nil
}

// bury takes the status of everything that has ended.
func (s *supervisor) bury() {
	for {
		var status unix.WaitStatus
		process, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || process <= 0 {
			return
		}
		s.ended(process, status)
	}
}

func (s *supervisor) ended(process int, status unix.WaitStatus) {
	s.mu.Lock()
	service, ok := s.running[process]
	delete(s.running, process)
	s.mu.Unlock()
	if !ok {
		return
	}
	log.Printf("%s ended (exit %d, signal %d); it starts again", service.Name, status.ExitStatus(), status.Signal())
	time.AfterFunc(restartAfter, func() {
		if err := s.startOne(service); err != nil {
			log.Printf("start again: %v", err)
		}
	})
}
