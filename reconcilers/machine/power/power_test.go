package power_test

import (
	"fmt"
	"testing"
	"time"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/reconcilers/machine/power"
)

// TestDecide is the table of the reference, a line for each policy and state:
// without a request, with a request to start, with a request to restart.
func TestDecide(t *testing.T) {
	const keep, start, stop, restart = power.Keep, power.Start, power.Stop, power.Restart
	const off, on, manual, unless = v1alpha2.AlwaysOffPolicy, v1alpha2.AlwaysOnPolicy, v1alpha2.ManualPolicy, v1alpha2.AlwaysOnUnlessStoppedManually
	tests := []struct {
		policy                              v1alpha2.RunPolicy
		instance                            power.Instance
		unasked, askedStart, askedToRestart power.Action
	}{
		{off, power.Absent, keep, keep, keep},
		{off, power.Launching, stop, stop, stop},
		{off, power.Running, stop, stop, stop},
		{off, power.Stopping, keep, keep, keep},
		{off, power.ShutDown, keep, keep, keep},
		{off, power.Reset, keep, keep, keep},
		{off, power.Failed, keep, keep, keep},

		{on, power.Absent, start, start, start},
		{on, power.Launching, keep, keep, restart},
		{on, power.Running, keep, keep, restart},
		{on, power.Stopping, keep, keep, keep},
		{on, power.ShutDown, start, start, start},
		{on, power.Reset, start, start, start},
		{on, power.Failed, start, start, start},

		{manual, power.Absent, keep, start, start},
		{manual, power.Launching, keep, keep, restart},
		{manual, power.Running, keep, keep, restart},
		{manual, power.Stopping, keep, keep, keep},
		{manual, power.ShutDown, keep, start, start},
		{manual, power.Reset, start, start, start},
		{manual, power.Failed, keep, start, start},

		{unless, power.Absent, keep, start, start},
		{unless, power.Launching, keep, keep, restart},
		{unless, power.Running, keep, keep, restart},
		{unless, power.Stopping, keep, keep, keep},
		{unless, power.ShutDown, keep, start, start},
		{unless, power.Reset, start, start, start},
		{unless, power.Failed, start, start, start},

		{"", power.Failed, start, start, start},
	}
	for _, test := range tests {
		requests := map[string]struct {
			start, restart bool
			want           power.Action
		}{
			"unasked":          {want: test.unasked},
			"asked to start":   {start: true, want: test.askedStart},
			"asked to restart": {restart: true, want: test.askedToRestart},
		}
		for name, request := range requests {
			t.Run(fmt.Sprintf("%s, state %d, %s", test.policy, test.instance, name), func(t *testing.T) {
				in := power.Input{
					Policy: test.policy, Instance: test.instance,
					StartRequested: request.start, RestartRequested: request.restart, Ready: true,
				}
				if got := power.Decide(in); got != request.want {
					t.Errorf("got %s, want %s", got, request.want)
				}
				in.Ready = false
				want := keep
				if request.want == stop {
					want = stop
				}
				if got := power.Decide(in); got != want {
					t.Errorf("before it is ready: got %s, want %s", got, want)
				}
			})
		}
	}
}

func TestDelay(t *testing.T) {
	born := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		lived, since, want time.Duration
	}{
		"long life":             {lived: time.Hour, since: 0, want: 0},
		"brief life":            {lived: time.Second, since: 4 * time.Second, want: 6 * time.Second},
		"brief life, long gone": {lived: time.Second, since: time.Hour, want: 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			finished := born.Add(test.lived)
			if got := power.Delay(born, finished, finished.Add(test.since)); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	if got := power.Delay(born, time.Time{}, born); got != 0 {
		t.Errorf("unknown end: got %s, want none", got)
	}
}
