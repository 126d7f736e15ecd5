package guest

import (
	"context"
	"fmt"
	"time"
)

// freezeTimeout leaves a guest the time to write out what it holds in memory.
const freezeTimeout = 30 * time.Second

// Freeze has the guest write out its file systems and hold back further writes until Thaw. It returns how many there are.
func Freeze(ctx context.Context, socket string) (int, error) {
	return order(ctx, socket, "guest-fsfreeze-freeze")
}

// Thaw lets a frozen guest write again. It does nothing to one that is not frozen.
func Thaw(ctx context.Context, socket string) (int, error) {
	return order(ctx, socket, "guest-fsfreeze-thaw")
}

func order(ctx context.Context, socket, command string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, freezeTimeout)
	defer cancel()
	s, err := open(ctx, socket)
	if err != nil {
		return 0, fmt.Errorf("reach guest agent: %w", err)
	}
	defer s.conn.Close()
	var count int
	if err := s.ask(command, &count); err != nil {
		return 0, fmt.Errorf("guest agent: %s: %w", command, err)
	}
	return count, nil
}
