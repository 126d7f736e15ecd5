package machine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	virtv1 "kubevirt.io/api/core/v1"
)

type requests = []virtv1.VirtualMachineStateChangeRequest

var now = time.Unix(1000, 0)

func stop(uid types.UID) virtv1.VirtualMachineStateChangeRequest {
	return virtv1.VirtualMachineStateChangeRequest{Action: virtv1.StopRequest, UID: &uid}
}

func start() virtv1.VirtualMachineStateChangeRequest {
	return virtv1.VirtualMachineStateChangeRequest{Action: virtv1.StartRequest}
}

func failure(count int, uid types.UID, after time.Duration) *virtv1.VirtualMachineStartFailure {
	retry := metav1.NewTime(now.Add(after))
	return &virtv1.VirtualMachineStartFailure{ConsecutiveFailCount: count, LastFailedVMIUID: uid, RetryAfterTimestamp: &retry}
}

func TestDecide(t *testing.T) {
	const (
		always = virtv1.RunStrategyAlways
		halted = virtv1.RunStrategyHalted
		manual = virtv1.RunStrategyManual
		rerun  = virtv1.RunStrategyRerunOnFailure
		once   = virtv1.RunStrategyOnce
	)
	running := &Instance{UID: "a", Phase: virtv1.Running, EverRan: true}
	leaving := &Instance{UID: "a", Phase: virtv1.Running, EverRan: true, Deleting: true}
	done := &Instance{UID: "a", Phase: virtv1.Succeeded, EverRan: true, Reason: "GuestShutdown"}
	reset := &Instance{UID: "a", Phase: virtv1.Succeeded, EverRan: true, Reason: "GuestReset"}
	died := &Instance{UID: "a", Phase: virtv1.Failed, EverRan: true}
	stillborn := &Instance{UID: "a", Phase: virtv1.Failed}
	tests := map[string]struct {
		in   Situation
		want Decision
	}{
		"Always: started":                      {Situation{Strategy: always}, Decision{Action: Create}},
		"Always: runs":                         {Situation{Strategy: always, Instance: running}, Decision{}},
		"Always: powered off, started again":   {Situation{Strategy: always, Instance: done}, Decision{Action: Delete}},
		"Always: died, started again":          {Situation{Strategy: always, Instance: died}, Decision{Action: Delete}},
		"Always: a template that cannot run":   {Situation{Strategy: always, Refused: "tpm"}, Decision{}},
		"Halted: nothing":                      {Situation{Strategy: halted}, Decision{}},
		"Halted: stopped":                      {Situation{Strategy: halted, Instance: running}, Decision{Action: Delete}},
		"Halted: asked to start":               {Situation{Strategy: halted, Requests: requests{start()}}, Decision{RunAlways: true, Requests: requests{start()}}},
		"Manual: nothing":                      {Situation{Strategy: manual}, Decision{}},
		"Manual: asked to start":               {Situation{Strategy: manual, Requests: requests{start()}}, Decision{Action: Create, Requests: requests{start()}}},
		"Manual: started, the request is done": {Situation{Strategy: manual, Instance: running, Requests: requests{start()}}, Decision{Requests: requests{}}},
		"Manual: asked to stop":                {Situation{Strategy: manual, Instance: running, Requests: requests{stop("a")}}, Decision{Action: Delete, Requests: requests{stop("a")}}},
		"Manual: stopping":                     {Situation{Strategy: manual, Instance: leaving, Requests: requests{stop("a"), start()}}, Decision{Requests: requests{stop("a"), start()}}},
		"Manual: stopped, now the start": {
			Situation{Strategy: manual, Requests: requests{stop("a"), start()}}, Decision{Action: Create, Requests: requests{start()}},
		},
		"Manual: the stop meant an earlier instance": {
			Situation{Strategy: manual, Instance: running, Requests: requests{stop("b"), start()}}, Decision{Requests: requests{}},
		},
		"Manual: a stop of no named instance is addressed first": {
			Situation{Strategy: manual, Instance: done, Requests: requests{{Action: virtv1.StopRequest}, start()}}, Decision{Requests: requests{stop("a"), start()}},
		},
		"Manual: powered off stays":              {Situation{Strategy: manual, Instance: done}, Decision{}},
		"Manual: reset is for its owner to see":  {Situation{Strategy: manual, Instance: reset}, Decision{}},
		"Manual: a start after a power-off":      {Situation{Strategy: manual, Instance: done, Requests: requests{start()}}, Decision{Action: Delete, Requests: requests{start()}}},
		"Manual: a start waits for the template": {Situation{Strategy: manual, Refused: "tpm", Requests: requests{start()}}, Decision{Requests: requests{start()}}},
		"RerunOnFailure: first start":            {Situation{Strategy: rerun}, Decision{Action: Create}},
		"RerunOnFailure: stopped before":         {Situation{Strategy: rerun, LastStrategy: rerun}, Decision{}},
		"RerunOnFailure: powered off stays":      {Situation{Strategy: rerun, LastStrategy: rerun, Instance: done}, Decision{}},
		"RerunOnFailure: died":                   {Situation{Strategy: rerun, LastStrategy: rerun, Instance: died}, Decision{Action: Delete, Requests: requests{start()}}},
		"RerunOnFailure: reset":                  {Situation{Strategy: rerun, LastStrategy: rerun, Instance: reset}, Decision{Action: Delete, Requests: requests{start()}}},
		"RerunOnFailure: a stop of a dead one is no rerun": {
			Situation{Strategy: rerun, LastStrategy: rerun, Instance: died, Requests: requests{stop("a")}}, Decision{Action: Delete, Requests: requests{stop("a")}},
		},
		"Once: first start":       {Situation{Strategy: once}, Decision{Action: Create}},
		"Once: not again":         {Situation{Strategy: once, LastStrategy: once}, Decision{}},
		"Once: died, not again":   {Situation{Strategy: once, LastStrategy: once, Instance: died}, Decision{}},
		"unknown strategy":        {Situation{Strategy: virtv1.RunStrategyWaitAsReceiver}, Decision{}},
		"deleted while it runs":   {Situation{Strategy: always, Deleting: true, Instance: running}, Decision{Action: Delete}},
		"deleted while it leaves": {Situation{Strategy: always, Deleting: true, Instance: leaving}, Decision{}},
		"deleted and gone":        {Situation{Strategy: always, Deleting: true}, Decision{Action: LetGo}},
		"a first failed start is counted": {
			Situation{Strategy: always, Instance: stillborn, Now: now}, Decision{Action: Delete, StartFailure: failure(1, "a", 10*time.Second)},
		},
		"a failed start is counted once": {
			Situation{Strategy: always, Instance: stillborn, StartFailure: failure(1, "a", 10*time.Second), Now: now},
			Decision{Action: Delete, StartFailure: failure(1, "a", 10*time.Second)},
		},
		"a second one waits longer": {
			Situation{Strategy: always, Instance: stillborn, StartFailure: failure(1, "z", 0), Now: now},
			Decision{Action: Delete, StartFailure: failure(2, "a", 20*time.Second)},
		},
		"the next attempt waits": {
			Situation{Strategy: always, StartFailure: failure(2, "a", 20*time.Second), Now: now},
			Decision{After: 20 * time.Second, StartFailure: failure(2, "a", 20*time.Second)},
		},
		"the next attempt is due": {
			Situation{Strategy: always, StartFailure: failure(2, "a", 0), Now: now},
			Decision{Action: Create, StartFailure: failure(2, "a", 0)},
		},
		"one that runs ends the row": {Situation{Strategy: always, Instance: running, StartFailure: failure(2, "z", 0), Now: now}, Decision{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Decide(tc.in)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPauseGrowsToItsLimit(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 5: 160 * time.Second, 6: 5 * time.Minute, 99: 5 * time.Minute} {
		if got := pause(failures); got != want {
			t.Errorf("pause after %d failures %v, want %v", failures, got, want)
		}
	}
}
