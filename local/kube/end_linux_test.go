package kube

import (
	"os/exec"
	"testing"
)

func TestTheEndOfAProcessIsTold(t *testing.T) {
	tests := map[string]struct {
		meant bool
		kill  bool
	}{
		"the one that is meant":        {meant: true, kill: true},
		"another with the same number": {meant: false, kill: false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			command := exec.Command("cat")
			leash, err := command.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			told := make(chan error, 1)
			asked := make(chan struct{})
			go func() {
				told <- awaitEnd(command.Process.Pid, func() bool { close(asked); return tc.meant })
			}()
			<-asked
			if tc.kill {
				select {
				case err := <-told:
					t.Errorf("told of the end of a process that runs: %v", err)
				default:
				}
				leash.Close()
			}
			if err := <-told; err != nil {
				t.Error(err)
			}
			leash.Close()
			_ = command.Wait()
		})
	}
}

func TestAProcessThatIsGoneCannotBeOpened(t *testing.T) {
	command := exec.Command("true")
	if err := command.Run(); err != nil {
		t.Fatal(err)
	}
	if err := awaitEnd(command.Process.Pid, func() bool { return true }); err == nil {
		t.Error("waited for a process that is gone")
	}
}
