package provision

import (
	"context"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// again is how soon a pass is repeated that could not do everything.
const again = time.Second

// Run makes a pass whenever a claim, class or volume changes, until the context ends.
func (p *Provisioner) Run(ctx context.Context) error {
	changed := make(chan struct{}, 1)
	if err := p.watch(ctx, changed); err != nil {
		return err
	}
	for {
		var retry <-chan time.Time
		if err := p.Pass(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
			retry = time.After(again)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-retry:
		}
	}
}

// watch tells of changes; several at once are one.
func (p *Provisioner) watch(ctx context.Context, changed chan<- struct{}) error {
	factory := informers.NewSharedInformerFactory(p.Clients, 0)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { tell() }, UpdateFunc: func(any, any) { tell() }, DeleteFunc: func(any) { tell() },
	}
	for _, informer := range []cache.SharedIndexInformer{
		factory.Core().V1().PersistentVolumeClaims().Informer(), factory.Core().V1().PersistentVolumes().Informer(), factory.Storage().V1().StorageClasses().Informer(),
	} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return fmt.Errorf("watch: %w", err)
		}
	}
	factory.Start(ctx.Done())
	return nil
}
