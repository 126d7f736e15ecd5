package scenario

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/test/e2e/compare"
)

// ControllersKilled looks whether the guest runs on.
func (d *Demo) ControllersKilled(t *testing.T) {
	boots := d.Boots(t)
	d.KillControllers(t)
	d.Recover(t)
	d.StillRuns(t, boots)
}

// StillRuns looks whether all is well and the guest is the one that had a boot counter.
func (d *Demo) StillRuns(t *testing.T, boots string) {
	t.Helper()
	d.HealthyAt(t, "")
	if got := d.Boots(t); got != boots {
		t.Errorf("boot counter %s, was %s: the guest was restarted", got, boots)
	}
}

// GuestKilled looks whether the machine starts again with its data, whatever of it was killed.
func (d *Demo) GuestKilled(t *testing.T, kill func(t *testing.T)) {
	boots := d.Boots(t)
	kill(t)
	Eventually(t, BootTime, "the machine boots again", func(ctx context.Context) error {
		got, err := d.Run(ctx, "cat /data/boots")
		if err == nil && got == boots {
			err = fmt.Errorf("boot counter is still %s", got)
		}
		return err
	})
	d.HealthyAt(t, "")
	d.DataIsThere(t)
	d.Recorded(t, compare.CrashedAndBack, "web")
}

// KilledDuringApply kills the controllers as soon as the first of many objects is there, and looks whether the end is the same.
// Whether the blow falls in the middle is chance: it is dealt until it does.
func (f *Far) KilledDuringApply(t *testing.T) {
	const objects, blows = 300, 5
	for blow := range blows {
		seen := f.killAtFirst(t, blow, objects)
		f.allThere(t, blow, objects)
		t.Logf("killed when %d of %d objects were seen", seen, objects)
		if seen < objects {
			return
		}
	}
	t.Fatalf("all %d objects were there each time before the controllers could be killed: this shows nothing, use more objects", objects)
}

func setName(blow int) string { return "set" + strconv.Itoa(blow) }

// killAtFirst pushes a set of objects and returns how many had appeared when the controllers were gone.
func (f *Far) killAtFirst(t *testing.T, blow, objects int) int {
	t.Helper()
	var manifests strings.Builder
	for i := range objects {
		fmt.Fprintf(&manifests, "---\n%s", strings.Replace(note(fmt.Sprintf("%s-%d", setName(blow), i), "whole"), "app: far", "app: "+setName(blow), 1))
	}
	watcher, err := f.Client.Watch(t.Context(), &corev1.ConfigMapList{}, client.InNamespace(Namespace), client.MatchingLabels{"app": setName(blow)})
	Must(t, err)
	defer watcher.Stop()
	f.repository.Write(t, setName(blow)+".yaml", manifests.String())
	f.repository.Push(t, "Add "+setName(blow))
	var seen atomic.Int32
	appeared, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for event := range watcher.ResultChan() {
			if event.Type == watch.Added && seen.Add(1) == 1 {
				close(appeared)
			}
		}
	}()
	select {
	case <-appeared:
	case <-time.After(Patience):
		t.Fatalf("nothing of %s was applied within %s", setName(blow), Patience)
	}
	f.KillControllers(t)
	defer f.Recover(t)
	list, err := f.set(t, blow)
	if err != nil { // the API server went with them, and ends the watch
		<-gone
		return int(seen.Load())
	}
	return len(list)
}

func (f *Far) set(t *testing.T, blow int) ([]corev1.ConfigMap, error) {
	list := &corev1.ConfigMapList{}
	if err := f.Client.List(t.Context(), list, client.InNamespace(Namespace), client.MatchingLabels{"app": setName(blow)}); err != nil {
		return nil, fmt.Errorf("list %s: %w", setName(blow), err)
	}
	return list.Items, nil
}

// allThere waits until the whole set is applied and in the inventory.
func (f *Far) allThere(t *testing.T, blow, objects int) {
	t.Helper()
	env := f.applied(t, f.repository.Head(t))
	list, err := f.set(t, blow)
	Must(t, err)
	for _, applied := range list {
		if applied.Data["text"] != "whole" {
			t.Errorf("ConfigMap %s holds %v", applied.Name, applied.Data)
		}
	}
	if len(list) != objects {
		t.Errorf("%d objects of %s, want %d", len(list), setName(blow), objects)
	}
	if got := inventoried(env.Status.Inventory, setName(blow)); got != objects {
		t.Errorf("%d objects of %s in the inventory, want %d", got, setName(blow), objects)
	}
}

func inventoried(inventory []v1alpha1.InventoryEntry, set string) int {
	count := 0
	for _, entry := range inventory {
		if entry.Kind == "ConfigMap" && strings.HasPrefix(entry.Name, set+"-") {
			count++
		}
	}
	return count
}

// IsTold waits until a condition of an object is not true and has all the words.
func (d *Demo) IsTold(t *testing.T, by Teller, name string, says ...string) {
	t.Helper()
	Eventually(t, Patience, fmt.Sprintf("the user is told %q", says), func(ctx context.Context) error {
		conditions, err := d.conditions(ctx, by, name)
		if err != nil {
			return err
		}
		return Told(conditions, says)
	})
}

func (d *Demo) conditions(ctx context.Context, of Teller, name string) ([]metav1.Condition, error) {
	switch of {
	case Image:
		o, err := read(ctx, d.Client, name, &v1alpha2.VirtualImage{})
		return o.Status.Conditions, err
	case Disk:
		o, err := read(ctx, d.Client, name, &v1alpha2.VirtualDisk{})
		return o.Status.Conditions, err
	case Machine:
		o, err := read(ctx, d.Client, name, &v1alpha2.VirtualMachine{})
		return o.Status.Conditions, err
	case Source:
		o, err := read(ctx, d.Client, name, &v1alpha1.GitRepository{})
		return o.Status.Conditions, err
	}
	env, err := d.Environment(ctx)
	return env.Status.Conditions, err
}
