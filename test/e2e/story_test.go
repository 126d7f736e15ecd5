//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"slipway.dev/slipway/test/e2e/scenario"
)

// TestStory is the README's walk-through, then what may go wrong around it.
func TestStory(t *testing.T) {
	s := newStack(t)
	s.start(t)
	d := newDemo(t, s)
	killDuringImport(t, s, d)
	d.HealthyAt(t, "")
	far := scenario.NewFar(t, d)
	stalled := far.Import(t, "stalled", 4*scenario.Mebibyte)

	steps := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"a guest booted from Git with its user data applied", d.Booted},
		{"a core more is planned as a restart and waits for approval", func(t *testing.T) { moreCores(t, s, d) }},
		{"restart applies it", func(t *testing.T) {
			s.must(t, "restart", "web")
			d.Restarted(t)
		}},
		{"a larger disk in Git grows under the guest", d.DiskGrown},
		{"a disk made from a snapshot holds what was there then", d.SnapshotRestored},
		{"the controllers killed during a start: the guest boots once", d.KilledDuringStart},
		{"removing the machine retains its disk; a revert brings both together again", func(t *testing.T) { removeAndRevert(t, s, d) }},
		{"a machine that no node can hold is told, and goes when it is taken back", d.Nowhere},
		{"bad input is told clearly, harms nothing and heals", d.BadInputs},
		{"an image server that falls silent is told, and the import goes on when it speaks again", stalled.ServerFellSilent},
		{"the Git server away: the last state goes on", far.GitServerAway},
		{"DVCR away in mid-import", func(t *testing.T) { registryAway(t, s, far) }},
		{"disk space gone in mid-import", func(t *testing.T) { spaceGone(t, s, far) }},
		{"the controller killed in mid-apply: the end is the same", far.KilledDuringApply},
		{"the controller killed: the guest runs on and is adopted", func(t *testing.T) { killController(t, s, d) }},
		{"QEMU killed: the machine starts again", func(t *testing.T) { d.GuestKilled(t, func(t *testing.T) { killGuest(t, s) }) }},
		{"a guest that powers itself off stays off until it is started", d.PoweredOff},
		{"Ctrl-C leaves no process; the next start finds machines and disks", func(t *testing.T) { stopAndStart(t, s, d) }},
		{"every commit carries a note with its health", d.Noted},
	}
	for _, step := range steps {
		if !t.Run(step.name, step.run) {
			return
		}
	}
}

// moreCores: what the change does is told before it is pushed.
func moreCores(t *testing.T, s *stack, d *scenario.Demo) {
	d.Repository.Replace(t, "machine.yaml", "cores: 1", "cores: 2")
	planned := s.must(t, "plan", "demo", d.Repository.Dir)
	if !strings.Contains(planned, "Restart") || !strings.Contains(planned, "cpu.cores") {
		t.Errorf("slipway plan does not say that the change restarts the machine:\n%s", planned)
	}
	d.Repository.Replace(t, "machine.yaml", "cores: 2", "cores: 1")
	d.MoreCores(t)
}

// removeAndRevert: what is kept is listed.
func removeAndRevert(t *testing.T, s *stack, d *scenario.Demo) {
	disk, err := d.Disk(t.Context())
	scenario.Must(t, err)
	d.Removed(t)
	if out := s.must(t, "get", "disks"); !strings.Contains(out, "retained") {
		t.Errorf("slipway get disks:\n%s", out)
	}
	d.Reverted(t, disk)
}
