//go:build !linux

package kube

import (
	"context"
	"errors"
)

// start refuses: only Linux ends a process together with its parent.
func (a assets) start(context.Context, Options) (process, error) {
	return nil, errors.New("run etcd and kube-apiserver as separate programs: only Linux can; set $" + BinaryVariable + " to a " + programName)
}
