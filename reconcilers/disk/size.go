package disk

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"

	"slipway.dev/slipway/api/virtualization/v1alpha2/vdcondition"
	"slipway.dev/slipway/reconcilers/image/intake"
	"slipway.dev/slipway/reconcilers/internal/flow"
)

// decideSize sets size.
func (e *engine) decideSize(_ context.Context, s *scope) flow.Outcome {
	if s.underway() {
		return flow.Done()
	}
	s.size = sizeFor(s.disk.Spec.PersistentVolumeClaim.Size, s.content())
	if s.size.problem != "" {
		return flow.Stall(vdcondition.ProvisioningFailed, "%s", s.size.problem)
	}
	return flow.Done()
}

// content is what is known of the disk's content before its volume is made.
type content struct {
	blank    bool
	unpacked int64
	cdrom    bool
	snapshot bool
}

func (s *scope) content() content {
	if s.transfer != nil && s.transfer.Result != nil {
		return content{unpacked: s.transfer.Result.VirtualSize, cdrom: s.transfer.Result.CDROM}
	}
	return content{blank: s.blank(), unpacked: s.source.unpacked, cdrom: s.source.cdrom, snapshot: s.source.snapshot != nil}
}

// sizeFor decides the size of a volume from what was asked for and what has to
// fit.
func sizeFor(asked *resource.Quantity, c content) sizing {
	switch {
	case c.cdrom:
		return sizing{problem: "an ISO image cannot fill a disk; attach the image itself to the machine"}
	case asked != nil && asked.Sign() <= 0:
		return sizing{problem: fmt.Sprintf("a disk of size %s cannot be made; set spec.persistentVolumeClaim.size to more than nothing", asked)}
	case c.blank && asked == nil:
		return sizing{problem: "a blank disk needs a size; set spec.persistentVolumeClaim.size"}
	case c.blank:
		return sizing{value: *asked}
	case asked == nil:
		return sizing{value: *resource.NewQuantity(c.unpacked, resource.BinarySI)}
	case asked.CmpInt64(c.unpacked) < 0 && c.snapshot:
		return sizing{problem: fmt.Sprintf("the size %s of the disk is smaller than its snapshot, which needs %s (%d bytes); set spec.persistentVolumeClaim.size to that or more, or leave it out",
			asked, intake.Bytes(c.unpacked), c.unpacked)}
	case asked.CmpInt64(c.unpacked) < 0:
		return sizing{problem: fmt.Sprintf("the size %s of the disk is smaller than its image, which unpacks to %s (%d bytes); set spec.persistentVolumeClaim.size to that or more, or leave it out",
			asked, intake.Bytes(c.unpacked), c.unpacked)}
	default:
		return sizing{value: *asked}
	}
}
