package volume

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// spaceError marks an error that comes from a full disk. qemu-img tells it in words only.
func spaceError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || strings.Contains(err.Error(), syscall.ENOSPC.Error()) {
		return fmt.Errorf("%w (%w)", ErrNoSpace, err)
	}
	return err
}
