package main

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/local/node/instance"
)

// reach reads where the running instance of a machine can be reached on this
// host. Only machines of a local platform say so.
func reach(ctx context.Context, c *connection, machine, annotation string) (string, error) {
	vmi := &virtv1.VirtualMachineInstance{}
	err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: machine}, vmi)
	if apierrors.IsNotFound(err) {
		return "", fmt.Errorf("machine %s in namespace %s is not running; `slipway get vms` shows why", machine, c.namespace)
	}
	if err != nil {
		return "", fmt.Errorf("find the instance of machine %s: %w", machine, err)
	}
	address := vmi.Annotations[annotation]
	if address == "" {
		return "", fmt.Errorf("machine %s has no %s annotation: it is starting, or runs on a cluster, where console and ssh of this command are not there yet (use virtctl)", machine, annotation)
	}
	return address, nil
}

func sshAddress(ctx context.Context, c *connection, machine string) (string, error) {
	return reach(ctx, c, machine, instance.SSHAnnotation)
}

func serialSocket(ctx context.Context, c *connection, machine string) (string, error) {
	return reach(ctx, c, machine, instance.SerialAnnotation)
}
