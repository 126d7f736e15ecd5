package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Ready says where the parts of a running platform are.
type Ready struct {
	// PID of the process that runs the platform.
	PID int `json:"pid"`
	// Kubeconfig of the administrator.
	Kubeconfig string `json:"kubeconfig"`
	// GitURL that the Environment follows, with the log-in where this machine
	// serves it.
	GitURL string `json:"gitURL"`
	// DVCR is the registry's address.
	DVCR string `json:"dvcr"`
	// Namespace of the Environment.
	Namespace string `json:"namespace"`
	// Environment that `slipway up` made.
	Environment string `json:"environment"`
}

func readyFile(l Layout) string { return filepath.Join(l.Run(), "ready.json") }

func writeReady(l Layout, r Ready) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the addresses: %w", err)
	}
	temporary := readyFile(l) + ".new"
	if err := os.WriteFile(temporary, text, 0o600); err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	if err := os.Rename(temporary, readyFile(l)); err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	return nil
}

func removeReady(l Layout) error {
	if err := os.Remove(readyFile(l)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the addresses: %w", err)
	}
	return nil
}

// ReadReady reads the addresses of the platform that runs on a data directory.
func ReadReady(l Layout) (Ready, error) {
	text, err := os.ReadFile(readyFile(l))
	if err != nil {
		return Ready{}, fmt.Errorf("read the platform's addresses: %w", err)
	}
	var r Ready
	if err := json.Unmarshal(text, &r); err != nil {
		return Ready{}, fmt.Errorf("parse %s: %w", readyFile(l), err)
	}
	return r, nil
}

// WaitReady waits until the process with that id has written its addresses. When
// it exits before, the end of its log is in the error.
func WaitReady(ctx context.Context, l Layout, pid int, exited <-chan error, progress Progress) (Ready, error) {
	progress.Step("Starting in the background")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if r, err := ReadReady(l); err == nil && r.PID == pid {
				progress.Done("")
				return r, nil
			}
		case err := <-exited:
			return Ready{}, fmt.Errorf("the platform ended while starting: %w\n%s", errors.Join(err), logTail(l))
		case <-ctx.Done():
			return Ready{}, fmt.Errorf("wait for the platform: %w", ctx.Err())
		}
	}
}

func logTail(l Layout) string {
	text, err := os.ReadFile(l.Log())
	if err != nil {
		return ""
	}
	return string(text[max(0, len(text)-2000):])
}
