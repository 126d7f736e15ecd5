package importer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"oras.land/oras-go/v2/registry/remote/errcode"

	"slipway.dev/slipway/dvcr/disk"
)

func TestClassify(t *testing.T) {
	answer := func(code int) error { return &errcode.ErrorResponse{StatusCode: code} }
	cases := map[string]struct{ err, want error }{
		"local disk full":    {&os.PathError{Op: "write", Err: syscall.ENOSPC}, ErrNoSpace},
		"quota":              {fmt.Errorf("write: %w", syscall.EDQUOT), ErrNoSpace},
		"DVCR full":          {fmt.Errorf("%w: %w", disk.ErrTarget, answer(507)), ErrNoSpace},
		"DVCR away":          {fmt.Errorf("%w: %w", disk.ErrTarget, syscall.ECONNREFUSED), ErrRegistry},
		"DVCR failing":       {fmt.Errorf("%w: %w", disk.ErrTarget, answer(500)), ErrRegistry},
		"DVCR denies":        {fmt.Errorf("%w: %w", disk.ErrTarget, answer(401)), ErrRegistry},
		"refused image":      {fmt.Errorf("open: %w", disk.ErrUnsupported), ErrUnsupported},
		"broken image":       {fmt.Errorf("open: %w", disk.ErrInvalidImage), ErrNotDiskImage},
		"large image":        {fmt.Errorf("read: %w", disk.ErrTooLarge), ErrTooLarge},
		"source fails":       {fmt.Errorf("read image: %w", statusError(503)), ErrUnreachable},
		"image not found":    {fmt.Errorf("read image: %w", statusError(404)), ErrNotFound},
		"full while reading": {fmt.Errorf("%w: %w", ErrNoSpace, disk.ErrTarget), ErrNoSpace},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := classify(c.err)
			for _, kind := range kinds {
				if errors.Is(got, kind) != errors.Is(c.want, kind) {
					t.Errorf("%v matches %v: %t", got, kind, errors.Is(got, kind))
				}
			}
			if !errors.Is(got, c.err) {
				t.Errorf("%v hides its cause", got)
			}
		})
	}
	if err := classify(context.Canceled); !errors.Is(err, context.Canceled) || isClassified(err) {
		t.Errorf("a canceled import is classified as %v", err)
	}
}

func TestWorthRetrying(t *testing.T) {
	cases := map[error]bool{
		statusError(500): true, statusError(503): true, statusError(429): true, statusError(408): true,
		statusError(404): false, statusError(403): false, statusError(400): false, statusError(301): false,
		requestError(syscall.ECONNRESET): true, errChanged: false, ErrNoSpace: false, ErrUntrusted: false,
	}
	for err, want := range cases {
		if got := worthRetrying(err); got != want {
			t.Errorf("%v is worth retrying: %t", err, got)
		}
	}
}
