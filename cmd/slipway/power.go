package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/api/virtualization/v1alpha2/vmopcondition"
)

func machineList() client.ObjectList { return &v1alpha2.VirtualMachineList{} }

func newStart(g *globals) *cobra.Command {
	return newOperation(g, v1alpha2.OperationStart, "start", "Start a machine that was stopped by hand")
}

func newStop(g *globals) *cobra.Command {
	return newOperation(g, v1alpha2.OperationStop, "stop", "Stop a machine; its run policy must leave that to people")
}

func newRestart(g *globals) *cobra.Command {
	return newOperation(g, v1alpha2.OperationRestart, "restart", "Restart a machine, which also applies changes that await a restart")
}

// newOperation makes a command that creates a VirtualMachineOperation and waits
// for it.
func newOperation(g *globals, operation v1alpha2.OperationType, verb, short string) *cobra.Command {
	var o operationOptions
	cmd := &cobra.Command{
		Use:               verb + " MACHINE",
		Short:             short,
		Args:              exactArgs(1, "the name of one machine"),
		ValidArgsFunction: completeNames(g, machineList),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := g.connect()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), o.timeout)
			defer cancel()
			done, err := operate(ctx, c, args[0], operation, o)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s %s: %s\n", verb, args[0], done)
			return nil
		},
	}
	cmd.Flags().BoolVar(&o.wait, "wait", true, "wait until the operation has ended")
	cmd.Flags().DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long to wait")
	if operation != v1alpha2.OperationStart {
		cmd.Flags().BoolVar(&o.force, "force", false, "do not give the guest time to shut down")
	}
	return cmd
}

type operationOptions struct {
	wait    bool
	force   bool
	timeout time.Duration
}

func operate(ctx context.Context, c *connection, machine string, operation v1alpha2.OperationType, o operationOptions) (string, error) {
	if err := c.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: machine}, &v1alpha2.VirtualMachine{}); err != nil {
		return "", fmt.Errorf("find machine %s in namespace %s: %w; `slipway get vms` lists them", machine, c.namespace, err)
	}
	op := &v1alpha2.VirtualMachineOperation{
		ObjectMeta: metav1.ObjectMeta{GenerateName: machine + "-", Namespace: c.namespace},
		Spec:       v1alpha2.VirtualMachineOperationSpec{Type: operation, VirtualMachineName: machine},
	}
	if o.force {
		op.Spec.Force = &o.force
	}
	if err := c.Create(ctx, op); err != nil {
		return "", fmt.Errorf("create the operation: %w", err)
	}
	if !o.wait {
		return "requested as " + op.Name, nil
	}
	return waitOperation(ctx, c, op)
}

// waitOperation watches one operation until it completed or failed.
func waitOperation(ctx context.Context, c *connection, op *v1alpha2.VirtualMachineOperation) (string, error) {
	watcher, err := c.Watch(ctx, &v1alpha2.VirtualMachineOperationList{}, &client.ListOptions{
		Namespace:     op.Namespace,
		FieldSelector: fields.OneTermEqualSelector("metadata.name", op.Name),
	})
	if err != nil {
		return "", fmt.Errorf("watch operation %s: %w", op.Name, err)
	}
	defer watcher.Stop()
	for {
		select {
		case event, open := <-watcher.ResultChan():
			if !open {
				return "", fmt.Errorf("watch operation %s: the server closed the watch", op.Name)
			}
			current, ok := event.Object.(*v1alpha2.VirtualMachineOperation)
			if !ok {
				continue
			}
			if done, err := operationEnd(current); done || err != nil {
				return "completed", err
			}
		case <-ctx.Done():
			return "", fmt.Errorf("operation %s has not ended: %w; it goes on, `kubectl get vmop %s` shows it", op.Name, ctx.Err(), op.Name)
		}
	}
}

func operationEnd(op *v1alpha2.VirtualMachineOperation) (bool, error) {
	switch op.Status.Phase {
	case v1alpha2.OperationCompleted:
		return true, nil
	case v1alpha2.OperationFailed:
		why := "no reason given"
		if c := meta.FindStatusCondition(op.Status.Conditions, vmopcondition.CompletedType); c != nil {
			why = c.Reason + ": " + c.Message
		}
		return false, fmt.Errorf("operation %s failed: %s", op.Name, why)
	default:
		return false, nil
	}
}
