package garbage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	gitopsv1 "slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/gc"
)

// DefaultSchedule is every night at two.
const DefaultSchedule = "0 2 * * *"

// Collector is DVCR. It is registry.Client.
type Collector interface {
	Collect(ctx context.Context, live []string, grace time.Duration) (gc.Report, error)
}

// Deps are what the schedule works with.
type Deps struct {
	DVCR Collector
	// Schedule in cron's notation; empty means DefaultSchedule.
	Schedule string
	Clock    clock.Clock
}

// SetupWithManager adds the schedule to a manager; it runs where the manager leads.
func SetupWithManager(mgr ctrl.Manager, d Deps) error {
	if d.Schedule == "" {
		d.Schedule = DefaultSchedule
	}
	schedule, err := cron.ParseStandard(d.Schedule)
	if err != nil {
		return fmt.Errorf("schedule garbage collection: %q is not in cron's notation: %w", d.Schedule, err)
	}
	if err := mgr.Add(&runner{reader: mgr.GetClient(), dvcr: d.DVCR, schedule: schedule, clock: d.Clock}); err != nil {
		return fmt.Errorf("schedule garbage collection: %w", err)
	}
	return nil
}

type runner struct {
	reader   client.Reader
	dvcr     Collector
	schedule cron.Schedule
	clock    clock.Clock
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (r *runner) NeedLeaderElection() bool { return true }

// Start implements manager.Runnable.
func (r *runner) Start(ctx context.Context) error {
	for {
		now := r.clock.Now()
		select {
		case <-r.clock.After(r.schedule.Next(now).Sub(now)):
			r.collect(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// collect runs once. A failure is tried again at the next time: garbage can wait.
func (r *runner) collect(ctx context.Context) {
	logger := log.FromContext(ctx).WithName("garbage")
	live, err := Live(ctx, r.reader)
	if err != nil {
		logger.Error(err, "Garbage was not collected")
		return
	}
	report, err := r.dvcr.Collect(ctx, live, 0)
	if err != nil {
		logger.Error(err, "Garbage was not collected in full", "report", report)
		return
	}
	logger.Info("Garbage collected", "live", len(live), "report", report)
}

// Live lists the references that images, disks and tombstones hold, as repository:tag.
func Live(ctx context.Context, reader client.Reader) ([]string, error) {
	var (
		images  v1alpha2.VirtualImageList
		cluster v1alpha2.ClusterVirtualImageList
		disks   v1alpha2.VirtualDiskList
		places  gitopsv1.EnvironmentList
	)
	for _, list := range []client.ObjectList{&images, &cluster, &disks, &places} {
		if err := reader.List(ctx, list); err != nil {
			return nil, fmt.Errorf("list what lives: %w", err)
		}
	}
	all := []string{}
	for i := range images.Items {
		all = append(all, reference("VirtualImage", &images.Items[i]))
	}
	for i := range cluster.Items {
		all = append(all, reference("ClusterVirtualImage", &cluster.Items[i]))
	}
	for i := range disks.Items {
		all = append(all, reference("VirtualDisk", &disks.Items[i]))
	}
	for i := range places.Items {
		all = append(all, buried(places.Items[i].Status.Tombstones)...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

func reference(kind string, o client.Object) string {
	return referenceOf(kind, o.GetNamespace(), o.GetName(), string(o.GetUID()))
}

// referenceOf names the artifact of an object; other kinds have none.
func referenceOf(kind, namespace, name, uid string) string {
	switch kind {
	case "VirtualImage":
		return "vi/" + namespace + "/" + name + ":" + uid
	case "ClusterVirtualImage":
		return "cvi/" + name + ":" + uid
	case "VirtualDisk":
		return "vd/" + namespace + "/" + name + ":" + uid
	}
	return ""
}

// buried lists what tombstones hold: an object that was kept may be taken up again.
func buried(tombstones []gitopsv1.Tombstone) []string {
	var all []string
	for _, t := range tombstones {
		if ref := referenceOf(t.Kind, t.Namespace, t.Name, string(t.UID)); ref != "" {
			all = append(all, ref)
		}
	}
	return all
}
