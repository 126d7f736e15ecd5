//go:build !linux

package kube

import "errors"

func awaitEnd(int, func() bool) error { return errors.ErrUnsupported }
