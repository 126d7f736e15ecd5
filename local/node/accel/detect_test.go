package accel

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"slipway.dev/slipway/local/node/qemu"
	"slipway.dev/slipway/local/node/volume"
)

func TestDecide(t *testing.T) {
	tests := map[string]struct {
		flags    string
		flagsErr error
		probe    error
		want     string
	}{
		"no virtualization flag: the probe is not even asked": {flags: "fpu sse2", probe: nil, want: TCG},
		"a flag that only contains the name":                  {flags: "fpu vmx_more", probe: nil, want: TCG},
		"vmx and a probe that ran":                            {flags: "fpu vmx", want: KVM},
		"svm and a probe that ran":                            {flags: "svm fpu", want: KVM},
		"vmx and a probe that hung":                           {flags: "vmx", probe: errors.New("hung"), want: TCG},
		"unreadable flags":                                    {flagsErr: errors.New("no /proc"), want: TCG},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := decide(func() (string, error) { return tc.flags, tc.flagsErr }, func() error { return tc.probe })
			if got.Accelerator != tc.want || got.Reason == "" {
				t.Errorf("verdict %+v, want %s with a reason", got, tc.want)
			}
		})
	}
}

func TestFindFlags(t *testing.T) {
	got, err := findFlags(strings.NewReader("processor\t: 0\nflags\t\t: fpu vmx\nvmx flags\t: vnmi\n"))
	if err != nil || strings.TrimSpace(got) != "fpu vmx" {
		t.Errorf("flags %q, %v", got, err)
	}
}

func TestAVerdictIsKeptForThisBootOnly(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "accelerator.json")
	kept := Verdict{Accelerator: "from-the-file", Reason: "kept", Boot: qemu.BootID()}
	if err := volume.WriteJSON(cache, kept); err != nil {
		t.Fatal(err)
	}
	if got := Detect(context.Background(), cache); got != kept {
		t.Errorf("verdict %+v, want the kept one", got)
	}
	kept.Boot = "an earlier boot"
	if err := volume.WriteJSON(cache, kept); err != nil {
		t.Fatal(err)
	}
	if got := Detect(context.Background(), cache); got.Accelerator == kept.Accelerator {
		t.Errorf("verdict %+v is of an earlier boot", got)
	}
}

func TestProbeRunsOnTheTranslator(t *testing.T) {
	if _, err := exec.LookPath(qemu.Binary); err != nil {
		t.Fatalf("%v: run apt-get install qemu-system-x86", err)
	}
	if err := Probe(context.Background(), TCG); err != nil {
		t.Error(err)
	}
}
