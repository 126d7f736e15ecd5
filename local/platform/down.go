package platform

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"slipway.dev/slipway/local/node"
)

// Down asks the platform that runs on a data directory to stop and waits until
// it has; false means that none ran. What a killed platform left behind, guests
// included, is ended too.
func Down(ctx context.Context, l Layout) (stopped bool, err error) {
	if pid, runs := RunningPID(l); runs {
		stopped = true
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
			return false, fmt.Errorf("ask process %d to stop: %w", pid, err)
		}
		if err := waitEnd(ctx, l); err != nil {
			return false, err
		}
	}
	return stopped, stopGuests(ctx, l)
}

// stopGuests shuts down guests that a killed platform has left running.
func stopGuests(ctx context.Context, l Layout) error {
	if _, err := os.Stat(l.Node()); err != nil {
		return nil
	}
	engine, err := node.New(ctx, node.Options{Dir: l.Node()})
	if err != nil {
		return err
	}
	return engine.Shutdown(ctx)
}

func waitEnd(ctx context.Context, l Layout) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if _, runs := RunningPID(l); !runs {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("wait for the platform to stop: %w; guests may still be shutting down", ctx.Err())
		}
	}
}
