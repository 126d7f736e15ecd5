package scenario

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/test/e2e/compare"
)

// Recorded waits until the engine has written of a machine what it is known to write at a point.
func (d *Demo) Recorded(t *testing.T, at compare.Point, machine string) {
	t.Helper()
	if d.Verdict == nil {
		return
	}
	Eventually(t, Patience, "what the engine writes of "+machine+" is known", func(ctx context.Context) error {
		seen, err := d.objects(ctx, machine)
		if err == nil {
			err = d.Verdict(at, seen)
		}
		if errors.Is(err, compare.ErrNotRecorded) {
			t.Logf("not compared: %v", err)
			return nil
		}
		return err
	})
}

// objects reads what the engine keeps of a machine.
func (d *Demo) objects(ctx context.Context, machine string) (compare.Objects, error) {
	var o compare.Objects
	var err error
	if o.Machine, err = read(ctx, d.Client, machine, &virtv1.VirtualMachine{}); err != nil {
		return o, err
	}
	o.Instance, err = read(ctx, d.Client, machine, &virtv1.VirtualMachineInstance{})
	if client.IgnoreNotFound(err) != nil {
		return o, err
	}
	if err != nil {
		o.Instance = nil
	}
	o.Claims = compare.Claims{}
	for _, volume := range o.Machine.Spec.Template.Spec.Volumes {
		if volume.PersistentVolumeClaim == nil {
			continue
		}
		o.Claims[volume.Name], err = read(ctx, d.Client, volume.PersistentVolumeClaim.ClaimName, &corev1.PersistentVolumeClaim{})
		if err != nil {
			return o, err
		}
	}
	return o, nil
}

// nowhere is a machine that no node takes.
const nowhere = `apiVersion: virtualization.deckhouse.io/v1alpha2
kind: VirtualMachine
metadata:
  name: nowhere
spec:
  virtualMachineClassName: generic
  runPolicy: AlwaysOn
  nodeSelector:
    example.com/nowhere: "true"
  cpu:
    cores: 1
    coreFraction: 20%
  memory:
    size: 128Mi
  blockDeviceRefs:
  - kind: VirtualImage
    name: nowhere
`

// emptyISO is as much of an ISO 9660 image as tells what it is.
func emptyISO() []byte {
	const systemArea, size = 32 << 10, 64 << 10
	iso := make([]byte, size)
	copy(iso[systemArea:], "\x01CD001\x01")
	return iso
}

// Nowhere pushes a machine that no node can hold, looks whether the user is told, and takes it back. It boots from an image, so
// that it waits for no disk.
func (d *Demo) Nowhere(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "empty.iso", time.Unix(0, 0), bytes.NewReader(emptyISO()))
	}))
	t.Cleanup(server.Close)
	image := strings.ReplaceAll(imageManifest(d.Expose(t, server.URL)+"/empty.iso", ""), "NAME", "nowhere")
	d.Repository.Write(t, "nowhere.yaml", image+"---\n"+nowhere)
	d.Repository.Push(t, "Ask for a node that is not there")
	defer func() { d.HealthyAt(t, d.Repository.Revert(t, "HEAD")) }()
	d.IsTold(t, Machine, "nowhere", "Running", "Unschedulable")
	d.Recorded(t, compare.Unschedulable, "nowhere")
}

// PoweredOff has the guest power itself off: it stays so until somebody starts it.
func (d *Demo) PoweredOff(t *testing.T) {
	d.Boots(t)
	_, _ = d.Run(t.Context(), "poweroff") // the connection may go before its answer
	d.untilPhase(t, "stopped", stopped)
	d.Recorded(t, compare.PoweredOff, "web")
	d.Completed(t, d.Operate(t, v1alpha2.OperationStart))
	d.DataIsThere(t)
	d.HealthyAt(t, "")
}
