package instance

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/qemu"
)

func TestDecide(t *testing.T) {
	running := Observed{Known: true, Running: true}
	done := &job.State{}
	tests := map[string]struct {
		in   Situation
		want Decision
	}{
		"new: its disks are made": {
			in:   Situation{},
			want: Decision{Action: Prepare, Phase: virtv1.Scheduling, Reason: ReasonPreparing},
		},
		"unsupported fields keep it pending": {
			in: Situation{Refused: []string{"spec.domain.devices.tpm"}},
			want: Decision{Phase: virtv1.Pending, Reason: ReasonUnsupported, Message: "this node does not implement " +
				"spec.domain.devices.tpm: remove it, or run the machine on a cluster with KubeVirt"},
		},
		"a missing volume keeps it pending": {
			in:   Situation{Blocker: Blocker{ReasonPVCNotFound, "no claim"}},
			want: Decision{Phase: virtv1.Pending, Reason: ReasonPVCNotFound, Message: "no claim"},
		},
		"no node takes it": {
			in:   Situation{Blocker: Blocker{ReasonUnschedulable, "labels"}},
			want: Decision{Phase: virtv1.Scheduling, Reason: ReasonUnschedulable, Message: "labels"},
		},
		"disks in the making": {
			in:   Situation{Preparation: &job.State{Running: true, Done: 1, Total: 4}},
			want: Decision{Phase: virtv1.Scheduling, Reason: ReasonPreparing, Message: "disks are being made, 25 %"},
		},
		"an image that cannot be had is tried again": {
			in:   Situation{Preparation: &job.State{Err: errors.New("404")}},
			want: Decision{Action: Prepare, Phase: virtv1.Scheduling, Reason: ReasonImagePull, Message: "404"},
		},
		"disks made: it starts": {
			in:   Situation{Phase: virtv1.Scheduling, Preparation: done},
			want: Decision{Action: Start, Phase: virtv1.Scheduled},
		},
		"it runs": {
			in:   Situation{Phase: virtv1.Scheduled, Process: running, Preparation: done},
			want: Decision{Phase: virtv1.Running},
		},
		"a running one is not stopped by a claim that vanished": {
			in:   Situation{Phase: virtv1.Running, Process: running, Blocker: Blocker{ReasonPVCNotFound, "no claim"}},
			want: Decision{Phase: virtv1.Running},
		},
		"powered off": {
			in:   Situation{Phase: virtv1.Running, Process: Observed{Known: true, Exit: qemu.GuestShutdown}},
			want: Decision{Phase: virtv1.Succeeded, Reason: "GuestShutdown", Message: "the guest powered off"},
		},
		"reset where that ends the instance": {
			in:   Situation{Phase: virtv1.Running, Process: Observed{Known: true, Exit: qemu.GuestReset}},
			want: Decision{Phase: virtv1.Succeeded, Reason: "GuestReset", Message: "the guest reset itself"},
		},
		"killed": {
			in: Situation{Phase: virtv1.Running, Process: Observed{Known: true, Exit: qemu.Crashed}},
			want: Decision{
				Phase: virtv1.Failed, Reason: "Crashed",
				Message: "QEMU ended without a word: it was killed, or it crashed",
			},
		},
		"crashed with last words": {
			in:   Situation{Phase: virtv1.Running, Process: Observed{Known: true, Exit: qemu.Crashed, Message: "bus error"}},
			want: Decision{Phase: virtv1.Failed, Reason: "Crashed", Message: "bus error"},
		},
		"ended before its first report: not started a second time": {
			in:   Situation{Phase: virtv1.Scheduled, Process: Observed{Known: true, Exit: qemu.GuestShutdown}, Preparation: done},
			want: Decision{Phase: virtv1.Succeeded, Reason: "GuestShutdown", Message: "the guest powered off"},
		},
		"parked by the host: it starts again": {
			in: Situation{
				Phase: virtv1.Running, Preparation: done,
				Process: Observed{Known: true, Exit: qemu.GuestShutdown, Record: Record{Parked: true}},
			},
			want: Decision{Action: Start, Phase: virtv1.Scheduled},
		},
		"its files are gone": {
			in:   Situation{Phase: virtv1.Running, Preparation: done},
			want: Decision{Phase: virtv1.Failed, Reason: ReasonLost, Message: "nothing is left of the instance on this node"},
		},
		"finished stays finished": {
			in:   Situation{Phase: virtv1.Failed, Preparation: done},
			want: Decision{Phase: virtv1.Failed},
		},
		"deleted while it runs": {
			in:   Situation{Deleting: true, Phase: virtv1.Running, Process: running},
			want: Decision{Action: Stop, Phase: virtv1.Running},
		},
		"deleted and ended": {
			in:   Situation{Deleting: true, Phase: virtv1.Running, Process: Observed{Known: true}},
			want: Decision{Action: CleanUp, Phase: virtv1.Running},
		},
		"deleted before it was started": {
			in:   Situation{Deleting: true},
			want: Decision{Action: CleanUp},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Decide(tc.in)); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
		})
	}
}
