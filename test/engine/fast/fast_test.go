//go:build e2e

package fast

import "testing"

// TestStockKubeVirt runs everything on one control plane, because starting it is what takes the time.
func TestStockKubeVirt(t *testing.T) {
	p := startKubeVirt(t)
	p.installSlipway(t)
	t.Run("golden objects are admitted", p.admitGolden)
	t.Run("a machine becomes an instance and a pod", p.runMachine)
	t.Run("CDI takes the volumes of disks", p.fillDisks)
}
