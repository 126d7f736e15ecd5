package garbage

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/robfig/cron/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	gitopsv1 "slipway.dev/slipway/api/gitops/v1alpha1"
	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/gc"
)

func newReader(t *testing.T, fail error) client.Reader {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha2.AddToScheme, gitopsv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	env := &gitopsv1.Environment{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "prod"}}
	env.Status.Tombstones = []gitopsv1.Tombstone{
		{ObjectReference: gitopsv1.ObjectReference{Kind: "VirtualDisk", Namespace: "team", Name: "data"}, UID: "u4"},
		{ObjectReference: gitopsv1.ObjectReference{Kind: "VirtualMachine", Namespace: "team", Name: "db"}, UID: "u5"},
	}
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(
		&v1alpha2.VirtualImage{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "debian", UID: "u1"}},
		&v1alpha2.ClusterVirtualImage{ObjectMeta: metav1.ObjectMeta{Name: "debian", UID: "u2"}},
		&v1alpha2.VirtualDisk{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "root", UID: "u3"}},
		env,
	).WithInterceptorFuncs(interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*v1alpha2.VirtualDiskList); ok && fail != nil {
				return fail
			}
			return c.List(ctx, list, opts...)
		},
	}).Build()
}

var alive = []string{"cvi/debian:u2", "vd/team/data:u4", "vd/team/root:u3", "vi/team/debian:u1"}

func TestLive(t *testing.T) {
	got, err := Live(t.Context(), newReader(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(alive, got); diff != "" {
		t.Errorf("live references (-want +got):\n%s", diff)
	}
}

// record is a DVCR that notes what it is told.
type record struct{ asked chan []string }

func (r record) Collect(_ context.Context, live []string, _ time.Duration) (gc.Report, error) {
	r.asked <- live
	return gc.Report{}, nil
}

// manual is a clock that tells how long it is asked to wait, and waits until the test says so.
type manual struct {
	clock.RealClock
	now  time.Time
	wait chan time.Duration
	fire chan time.Time
}

func (m manual) Now() time.Time { return m.now }

func (m manual) After(d time.Duration) <-chan time.Time {
	m.wait <- d
	return m.fire
}

func TestSchedule(t *testing.T) {
	schedule, err := cron.ParseStandard(DefaultSchedule)
	if err != nil {
		t.Fatal(err)
	}
	noon := manual{now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), wait: make(chan time.Duration), fire: make(chan time.Time)}
	dvcr := record{make(chan []string, 1)}
	r := &runner{reader: newReader(t, nil), dvcr: dvcr, schedule: schedule, clock: noon}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Start(ctx) }()
	for range 2 {
		if d := <-noon.wait; d != 14*time.Hour {
			t.Errorf("at noon garbage waits for %v", d)
		}
		noon.fire <- noon.now
		if diff := cmp.Diff(alive, <-dvcr.asked); diff != "" {
			t.Errorf("live references (-want +got):\n%s", diff)
		}
	}
	<-noon.wait
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNothingIsCollectedByHalfAList(t *testing.T) {
	dvcr := record{make(chan []string, 1)}
	r := &runner{reader: newReader(t, errors.New("the API server is away")), dvcr: dvcr}
	r.collect(t.Context())
	select {
	case live := <-dvcr.asked:
		t.Errorf("DVCR was told that only %v live", live)
	default:
	}
}
