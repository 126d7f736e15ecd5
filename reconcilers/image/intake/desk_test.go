package intake_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	testclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"

	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/image/intake/intaketest"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func request(url string) intake.Request {
	return intake.Request{
		Controller: "virtualimage",
		Object:     types.NamespacedName{Namespace: "team", Name: "debian"},
		Job: importer.Job{
			ID:          "u1",
			Source:      importer.Source{HTTP: &importer.HTTPSource{URL: url}},
			Destination: "vi/team/debian:u1",
		},
	}
}

func TestDeskRetriesWithGrowingDelay(t *testing.T) {
	clock := testclock.NewFakeClock(start)
	runner := intaketest.NewRunner()
	desk := intake.NewDesk(runner, clock)
	failed := importer.State{Phase: importer.Failed, Err: errors.New("no answer")}

	var delays []time.Duration
	for range 10 {
		runner.Set("u1", failed)
		transfer := desk.Ensure(t.Context(), request("http://files/a"))
		delays = append(delays, transfer.RetryAfter)
		clock.Step(transfer.RetryAfter - time.Millisecond)
		if early := desk.Ensure(t.Context(), request("http://files/a")); early.Phase != importer.Failed {
			t.Fatalf("tried again %v early", time.Millisecond)
		}
		clock.Step(time.Millisecond)
		if again := desk.Ensure(t.Context(), request("http://files/a")); again.Phase != importer.Running {
			t.Fatalf("phase after the delay is %s, want Running", again.Phase)
		}
	}
	s := time.Second
	want := []time.Duration{2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 64 * s, 128 * s, 256 * s, 300 * s, 300 * s}
	if diff := cmp.Diff(want, delays); diff != "" {
		t.Errorf("delays (-want +got):\n%s", diff)
	}
}

func TestDeskStartsAnewForAnotherSource(t *testing.T) {
	runner := intaketest.NewRunner()
	desk := intake.NewDesk(runner, testclock.NewFakeClock(start))
	runner.Set("u1", importer.State{Phase: importer.Failed, Err: errors.New("404")})
	desk.Ensure(t.Context(), request("http://files/wrong"))
	runner.Calls()

	transfer := desk.Ensure(t.Context(), request("http://files/right"))

	if transfer.Phase != importer.Running || transfer.Failures != 0 || transfer.LastError != nil {
		t.Errorf("transfer of the new source is %+v, want a fresh one that runs", transfer)
	}
	if diff := cmp.Diff([]string{"forget u1", "start u1"}, runner.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestDeskDoubtsOnlyWhatHasEnded(t *testing.T) {
	runner := intaketest.NewRunner()
	desk := intake.NewDesk(runner, testclock.NewFakeClock(start))
	desk.Doubt("u1")
	desk.Ensure(t.Context(), request("http://files/a"))
	desk.Doubt("u1")
	runner.Set("u1", importer.State{Phase: importer.Succeeded})
	desk.Ensure(t.Context(), request("http://files/a"))
	desk.Doubt("u1")
	desk.Doubt("u1")
	if diff := cmp.Diff([]string{"start u1", "forget u1"}, runner.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestDeskSettlesOnlyWhatItKnows(t *testing.T) {
	runner := intaketest.NewRunner()
	desk := intake.NewDesk(runner, testclock.NewFakeClock(start))
	desk.Settle("u1")
	desk.Ensure(t.Context(), request("http://files/a"))
	if !desk.Asked(request("http://files/a").Job) || desk.Asked(request("http://files/b").Job) {
		t.Error("Asked must know the job that was asked for, and no other")
	}
	desk.Settle("u1")
	desk.Settle("u1")
	if diff := cmp.Diff([]string{"start u1", "forget u1"}, runner.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestDeskWakesTheController(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	runner := intaketest.NewRunner()
	desk := intake.NewDesk(runner, testclock.NewFakeClock(start))
	feed := desk.Feed("virtualimage")
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[ctrl.Request]())
	if err := feed.Start(ctx, queue); err != nil {
		t.Fatal(err)
	}
	desk.Ensure(ctx, request("http://files/a"))
	done := make(chan error, 1)
	go func() { done <- desk.Start(ctx) }()

	runner.Notify("a job that nobody asked for")
	runner.Notify("u1")

	got, _ := queue.Get()
	want := ctrl.Request{NamespacedName: types.NamespacedName{Namespace: "team", Name: "debian"}}
	if got != want {
		t.Errorf("woken is %v, want %v", got, want)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("desk ended with %v", err)
	}
}
