package main

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"time"

	toolscache "k8s.io/client-go/tools/cache"
	virtv1 "kubevirt.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/local/platform"
)

// redrawAfter gathers changes that come together into one drawing.
const redrawAfter = 200 * time.Millisecond

// liveViews are the kinds of the live table.
var liveViews = []string{"environments", "images", "disks", "vms"}

// watchLive shows Environments, images, disks and machines as they change, the
// serial lines of running guests and when they answer SSH, until the context
// ends.
func watchLive(ctx context.Context, out io.Writer, p *platform.Platform) error {
	c := &connection{WithWatch: p.Client(), reader: p.Cache(), namespace: p.Ready().Namespace}
	changed, err := notifyAll(ctx, p.Cache())
	if err != nil {
		return err
	}
	guests, s := newGuests(c), newScreen(out)
	tick := time.NewTicker(redrawAfter)
	defer tick.Stop()
	dirty := true
	for {
		select {
		case <-changed:
			dirty = true
		case <-tick.C:
			if err := redraw(ctx, c, s, guests, dirty); err != nil && ctx.Err() == nil {
				return err
			}
			dirty = false
		case <-ctx.Done():
			return nil
		case err := <-p.Failed():
			return err
		}
	}
}

// notifyAll gives a token when an object of a kind that is shown has changed.
func notifyAll(ctx context.Context, informers cache.Informers) (<-chan struct{}, error) {
	changed := make(chan struct{}, 1)
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := toolscache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { notify() },
		UpdateFunc: func(before, after any) {
			if visible(before.(client.Object), after.(client.Object)) {
				notify()
			}
		},
		DeleteFunc: func(any) { notify() },
	}
	kinds := []client.Object{&virtv1.VirtualMachineInstance{}}
	for _, name := range liveViews {
		v, err := findView(name)
		if err != nil {
			return nil, err
		}
		kinds = append(kinds, v.kind())
	}
	for _, kind := range kinds {
		informer, err := informers.GetInformer(ctx, kind)
		if err != nil {
			return nil, fmt.Errorf("follow %T: %w", kind, err)
		}
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, fmt.Errorf("follow %T: %w", kind, err)
		}
	}
	return changed, nil
}

// visible tells whether an update may change what is shown. An Environment is
// written for each request that it answers, which shows nowhere.
func visible(before, after client.Object) bool {
	was, ok := before.(*v1alpha1.Environment)
	if !ok {
		return before.GetResourceVersion() != after.GetResourceVersion()
	}
	is := after.(*v1alpha1.Environment).Status
	is.LastHandledReconcileAt = was.Status.LastHandledReconcileAt
	return before.GetGeneration() != after.GetGeneration() || !reflect.DeepEqual(was.Status, is)
}

// redraw reads the tables again when something has changed, and what guests have
// written in any case.
func redraw(ctx context.Context, c *connection, s *screen, guests *guests, dirty bool) error {
	if !dirty {
		if lines := guests.lines(); len(lines) > 0 {
			s.draw(s.tables, lines)
		}
		return nil
	}
	tables, err := liveTables(ctx, c)
	if err != nil {
		return err
	}
	if err := guests.update(ctx); err != nil {
		return err
	}
	s.draw(tables, guests.lines())
	return nil
}

func liveTables(ctx context.Context, c *connection) ([]table, error) {
	retained, err := listRetained(ctx, c)
	if err != nil {
		return nil, err
	}
	var tables []table
	for _, name := range liveViews {
		v, err := findView(name)
		if err != nil {
			return nil, err
		}
		list, err := listOf(ctx, c, v, "")
		if err != nil {
			return nil, err
		}
		t, err := v.tableOf(list, retained)
		if err != nil {
			return nil, err
		}
		tables = append(tables, t)
	}
	return tables, nil
}
