package intake_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"slipway.dev/slipway/api/virtualization/v1alpha2"
	"slipway.dev/slipway/dvcr/importer"
	"slipway.dev/slipway/reconcilers/image/intake"
)

func TestDescribe(t *testing.T) {
	tests := map[string]struct {
		err  error
		want string
	}{
		"nothing wrong":       {nil, ""},
		"404":                 {fmt.Errorf("get http://files/a: %w", importer.ErrNotFound), "put the file there"},
		"times out":           {fmt.Errorf("get http://files/a: %w", importer.ErrUnreachable), "see that the server answers"},
		"wrong checksum":      {fmt.Errorf("check sha256: %w", importer.ErrChecksum), "correct the checksum"},
		"not a disk image":    {fmt.Errorf("read: %w", importer.ErrNotDiskImage), "raw, qcow2, VMDK"},
		"disk full":           {fmt.Errorf("write: %w", importer.ErrNoSpace), "free disk space"},
		"DVCR away":           {fmt.Errorf("push: %w", importer.ErrRegistry), "DVCR"},
		"DVCR full, not away": {fmt.Errorf("push: %w: %w", importer.ErrNoSpace, errors.New("507")), "free disk space"},
		"importer not pulled": {fmt.Errorf("pod a: %w", intake.ErrImagePull), "the PodTemplate of importers"},
		"login refused":       {fmt.Errorf("pull: %w", importer.ErrUnauthorized), "imagePullSecret"},
		"unknown":             {errors.New("strange"), "strange"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := intake.Describe(intake.Transfer{LastError: test.err})
			if !strings.Contains(got, test.want) || (test.want == "") != (got == "") {
				t.Errorf("Describe = %q, want it to say %q", got, test.want)
			}
			if test.err != nil && !strings.HasPrefix(got, test.err.Error()) {
				t.Errorf("Describe = %q, want it to begin with the cause %q", got, test.err)
			}
		})
	}
}

func TestDescribeTellsWhenItIsTriedAgain(t *testing.T) {
	got := intake.Describe(intake.Transfer{LastError: errors.New("no answer"), Failures: 2, RetryAt: start})
	if want := "no answer; try 3 follows at 12:00:00 UTC"; got != want {
		t.Errorf("Describe = %q, want %q", got, want)
	}
}

func TestFailureStands(t *testing.T) {
	failure := errors.New("no answer")
	tests := map[string]struct {
		transfer intake.Transfer
		want     bool
	}{
		"runs for the first time":            {intake.Transfer{State: importer.State{Phase: importer.Running}}, false},
		"failed":                             {intake.Transfer{State: importer.State{Phase: importer.Failed, Progress: importer.Progress{Done: 5}}, LastError: failure}, true},
		"tried again, nothing came yet":      {intake.Transfer{State: importer.State{Phase: importer.Running}, LastError: failure}, true},
		"tried again, bytes come":            {intake.Transfer{State: importer.State{Phase: importer.Running, Progress: importer.Progress{Done: 1}}, LastError: failure}, false},
		"succeeded after it had once failed": {intake.Transfer{State: importer.State{Phase: importer.Succeeded}, LastError: failure}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.transfer.Stands(); got != test.want {
				t.Errorf("Stands = %t, want %t", got, test.want)
			}
		})
	}
}

func TestPercent(t *testing.T) {
	tests := map[string]struct {
		progress importer.Progress
		want     string
	}{
		"nothing known":   {importer.Progress{Done: 10}, "0.0%"},
		"an eighth":       {importer.Progress{Done: 1, Total: 8}, "12.5%"},
		"never rounds up": {importer.Progress{Done: 9999, Total: 10000}, "99.9%"},
		"all":             {importer.Progress{Done: 8, Total: 8}, "100%"},
		"more than all":   {importer.Progress{Done: 9, Total: 8}, "100%"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := intake.Percent(test.progress); got != test.want {
				t.Errorf("Percent = %s, want %s", got, test.want)
			}
		})
	}
}

func TestBytes(t *testing.T) {
	tests := map[int64]string{0: "0", 1023: "1023", 1024: "1Ki", 1536: "1.5Ki", 30 << 20: "30Mi", 5 << 40: "5Ti"}
	for n, want := range tests {
		if got := intake.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestSpeed(t *testing.T) {
	running := intake.Transfer{State: importer.State{Phase: importer.Running, Progress: importer.Progress{BytesPerSecond: 2 << 20}}}
	ended := intake.Transfer{State: importer.State{Phase: importer.Succeeded, Result: &importer.Result{AverageSpeed: 1 << 20}}}
	tests := map[string]struct {
		transfer intake.Transfer
		want     *v1alpha2.DownloadSpeed
	}{
		"not known":           {intake.Transfer{}, nil},
		"runs":                {running, &v1alpha2.DownloadSpeed{Current: "2Mi/s", CurrentBytes: "2097152"}},
		"ended":               {ended, &v1alpha2.DownloadSpeed{Avg: "1Mi/s", AvgBytes: "1048576"}},
		"found after restart": {intake.Transfer{State: importer.State{Phase: importer.Succeeded, Result: &importer.Result{}}}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, intake.Speed(test.transfer)); diff != "" {
				t.Errorf("speed (-want +got):\n%s", diff)
			}
		})
	}
}
