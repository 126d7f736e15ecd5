//go:build e2e

package scenario

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/test/e2e/scenario"
	"slipway.dev/slipway/test/engine/csi"
)

var (
	controllers  = client.MatchingLabels{"app.kubernetes.io/name": "slipway-controller"}
	handlers     = client.MatchingLabels{"kubevirt.io": "virt-handler"}
	cdiImporters = client.MatchingLabels{"cdi.kubevirt.io": "importer"}
	importers    = client.MatchingLabels{"app": "dvcr-data-importer"}
)

// killPods ends pods at once, as a node that fails does, and returns the names of those that are to have successors.
func (p *platform) killPods(t *testing.T, in string, labels client.MatchingLabels) map[string]bool {
	t.Helper()
	old := map[string]bool{}
	for _, pod := range p.pods(t, in, labels) {
		old[pod.Name] = true
		scenario.Must(t, client.IgnoreNotFound(p.client.Delete(t.Context(), &pod, client.GracePeriodSeconds(0))))
	}
	if len(old) == 0 {
		t.Fatalf("there are no pods %v in %s", labels, in)
	}
	return old
}

func (p *platform) pods(t *testing.T, in string, labels client.MatchingLabels) []corev1.Pod {
	t.Helper()
	var pods corev1.PodList
	scenario.Must(t, p.client.List(t.Context(), &pods, client.InNamespace(in), labels))
	return pods.Items
}

// succeeded waits until as many other pods are ready.
func (p *platform) succeeded(t *testing.T, in string, labels client.MatchingLabels, old map[string]bool) {
	t.Helper()
	scenario.Eventually(t, scenario.Patience, fmt.Sprintf("%d other pods %v", len(old), labels), func(ctx context.Context) error {
		var pods corev1.PodList
		if err := p.client.List(ctx, &pods, client.InNamespace(in), labels); err != nil {
			return err
		}
		ready := 0
		for _, pod := range pods.Items {
			for _, c := range pod.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && !old[pod.Name] {
					ready++
				}
			}
		}
		if ready < len(old) {
			return fmt.Errorf("%d are ready", ready)
		}
		return nil
	})
}

// killer ends processes of the node that runs the machine with SIGKILL.
func (p *platform) killer(d *scenario.Demo, pattern string) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		machine, err := d.Machine(t.Context())
		scenario.Must(t, err)
		cmd, err := p.layout.Enter(machine.Status.NodeName, "pkill", "-KILL", "-f", pattern)
		scenario.Must(t, err)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("kill %s: %v: %s", pattern, err, out)
		}
	}
}

// importOutlivesControllers kills the controllers while an import is in the middle; its pod goes on.
func importOutlivesControllers(t *testing.T, p *platform, f *scenario.Far) {
	image := f.Import(t, "interrupted", 4*scenario.Mebibyte)
	before := p.importersOf(t, "interrupted")
	if len(before) != 1 {
		t.Fatalf("the image is imported by pods %v", before)
	}
	f.KillControllers(t)
	image.Release()
	f.Recover(t)
	image.Arrives(t)
	if after := p.importersOf(t, "interrupted"); len(after) > 0 && !slices.Equal(before, after) {
		t.Errorf("pods %v import the image, were %v: it came in again", after, before)
	}
}

// importersOf lists the UIDs of the pods that import an image.
func (p *platform) importersOf(t *testing.T, name string) []types.UID {
	t.Helper()
	image := &v1alpha2.VirtualImage{}
	scenario.Must(t, p.client.Get(t.Context(), scenario.Key(name), image))
	var found []types.UID
	for _, pod := range p.pods(t, system, importers) {
		if pod.Annotations["import.slipway.dev/job"] == string(image.UID) {
			found = append(found, pod.UID)
		}
	}
	return found
}

// handlerKilled: the guest runs on, and is governed again.
func handlerKilled(t *testing.T, p *platform, d *scenario.Demo) {
	boots := d.Boots(t)
	p.succeeded(t, "kubevirt", handlers, p.killPods(t, "kubevirt", handlers))
	d.StillRuns(t, boots)
}

// registryAway: without DVCR an import is told to wait for it, and goes on when it is back.
func registryAway(t *testing.T, p *platform, f *scenario.Far) {
	image := f.Import(t, "homeless", 4*scenario.Mebibyte)
	p.scaleRegistry(t, 0)
	defer p.scaleRegistry(t, 1)
	image.Release()
	image.IsTold(t, "Ready", "DVCR")
	p.scaleRegistry(t, 1)
	image.Arrives(t)
}

// registryFull leaves DVCR too little room while an image is on its way there.
func registryFull(t *testing.T, p *platform, f *scenario.Far) {
	image := f.Import(t, "large", 48*scenario.Mebibyte)
	p.besideRegistry(t, "mount -N $pid -t tmpfs -o mode=777,size=8m none /var/lib/dvcr")
	image.Release()
	image.IsTold(t, "Ready", "no space left")
	p.besideRegistry(t, "nsenter --target $pid --mount --pid umount -l /var/lib/dvcr")
	image.Arrives(t)
}

// registryAwayFromCDI takes DVCR away while CDI copies an image to a disk, which it does slowly enough to be caught at it.
func registryAwayFromCDI(t *testing.T, p *platform, f *scenario.Far) {
	image := f.Import(t, "slow", 48*scenario.Mebibyte)
	image.Release()
	image.Arrives(t)
	p.besideRegistry(t, "nsenter --target $pid --net tc qdisc add dev eth0 root tbf rate 16mbit burst 64kbit latency 400ms") // until its pod ends
	f.Fill(t, "slow", csi.ImmediateClass)
	p.importer(t, "runs", func(c corev1.ContainerStatus) bool { return c.State.Running != nil })
	p.scaleRegistry(t, 0)
	defer p.scaleRegistry(t, 1)
	p.importer(t, "fails", func(c corev1.ContainerStatus) bool {
		return c.RestartCount > 0 || c.State.Terminated != nil && c.State.Terminated.ExitCode != 0
	})
	p.scaleRegistry(t, 1)
	f.DiskReady(t, "slow")
}

// importer waits until a container of CDI's imports is in some state.
func (p *platform) importer(t *testing.T, what string, is func(corev1.ContainerStatus) bool) {
	t.Helper()
	scenario.Eventually(t, scenario.Patience, "CDI's import "+what, func(ctx context.Context) error {
		var pods corev1.PodList
		if err := p.client.List(ctx, &pods, client.InNamespace(scenario.Namespace), cdiImporters); err != nil {
			return err
		}
		for _, pod := range pods.Items {
			if slices.ContainsFunc(pod.Status.ContainerStatuses, is) {
				return nil
			}
		}
		return fmt.Errorf("none of %d pods does", len(pods.Items))
	})
}

// besideRegistry runs a script in the node of DVCR's pod; $pid is its process.
func (p *platform) besideRegistry(t *testing.T, script string) {
	t.Helper()
	pod := &corev1.Pod{}
	scenario.Must(t, p.client.Get(t.Context(), client.ObjectKey{Namespace: system, Name: "slipway-dvcr-0"}, pod))
	cmd, err := p.layout.Enter(pod.Spec.NodeName, "sh", "-ec", "pid=$(pgrep -f 'slipway-dvcr[ ]serve')\n"+script)
	scenario.Must(t, err)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

func (p *platform) scaleRegistry(t *testing.T, replicas int32) {
	t.Helper()
	set := &appsv1.StatefulSet{}
	scenario.Eventually(t, scenario.Patience, fmt.Sprintf("DVCR runs in %d pods", replicas), func(ctx context.Context) error {
		if err := p.client.Get(ctx, client.ObjectKey{Namespace: system, Name: "slipway-dvcr"}, set); err != nil {
			return err
		}
		if ptr.Deref(set.Spec.Replicas, 1) != replicas {
			set.Spec.Replicas = &replicas
			return errors.Join(errors.New("it was just asked to"), p.client.Update(ctx, set))
		}
		if set.Status.ReadyReplicas != replicas || set.Status.Replicas != replicas {
			return fmt.Errorf("%d of %d are ready", set.Status.ReadyReplicas, set.Status.Replicas)
		}
		return nil
	})
}
