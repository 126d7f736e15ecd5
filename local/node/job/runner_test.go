package job

import (
	"context"
	"errors"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
)

func TestAFailedJobRunsAgainOnlyAfterItsPause(t *testing.T) {
	clock := testingclock.NewFakeClock(time.Unix(1000, 0))
	runner := NewRunner(clock)
	t.Cleanup(runner.Close)
	runs := 0
	fail := func(context.Context, func(int64, int64)) error { runs++; return errors.New("no") }

	runner.Ensure("a", fail)
	<-runner.Events()
	state := runner.Ensure("a", fail)
	if state.Running || state.Failures != 1 || runs != 1 {
		t.Fatalf("state %+v after %d runs, want one failure and no new run", state, runs)
	}
	clock.SetTime(state.RetryAt)
	if state = runner.Ensure("a", fail); !state.Running {
		t.Fatalf("state %+v, want a new run", state)
	}
	<-runner.Events()
	if state = runner.Ensure("a", fail); state.Failures != 2 {
		t.Errorf("failures %d, want 2", state.Failures)
	}
}

func TestAFinishedJobDoesNotRunAgain(t *testing.T) {
	runner := NewRunner(testingclock.NewFakeClock(time.Unix(1000, 0)))
	t.Cleanup(runner.Close)
	runs := 0
	work := func(_ context.Context, progress func(int64, int64)) error { runs++; progress(5, 10); return nil }

	runner.Ensure("a", work)
	<-runner.Events() // the progress
	<-runner.Events() // the end
	state := runner.Ensure("a", work)
	if !state.Finished() || runs != 1 || state.Done != 5 {
		t.Errorf("state %+v after %d runs, want finished after one", state, runs)
	}
}

func TestForgetCancelsAndAllowsANewRun(t *testing.T) {
	runner := NewRunner(testingclock.NewFakeClock(time.Unix(1000, 0)))
	t.Cleanup(runner.Close)
	ended := make(chan error, 1)
	runner.Ensure("a", func(ctx context.Context, _ func(int64, int64)) error {
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	})
	runner.Forget("a")
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the job ended with %v, want a cancellation", err)
	}
	if state := runner.Ensure("a", func(context.Context, func(int64, int64)) error { return nil }); !state.Running {
		t.Errorf("state %+v, want a new run", state)
	}
}

func TestPauseGrowsToItsLimit(t *testing.T) {
	for failures, want := range map[int]time.Duration{0: 2 * time.Second, 1: 4 * time.Second, 4: 32 * time.Second, 5: time.Minute, 90: time.Minute} {
		if got := Pause(failures); got != want {
			t.Errorf("pause after %d failures %v, want %v", failures, got, want)
		}
	}
}

func TestNamesLeadBackToTheObject(t *testing.T) {
	key := types.NamespacedName{Namespace: "shop", Name: "web"}
	if got := Key(NameOf(key, "uid")); got != key {
		t.Errorf("key %v, want %v", got, key)
	}
}
