package instance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/types"
	virtv1 "kubevirt.io/api/core/v1"

	"slipway.dev/slipway/local/node/domain"
	"slipway.dev/slipway/local/node/job"
	"slipway.dev/slipway/local/node/qemu"
	"slipway.dev/slipway/local/node/seed"
	"slipway.dev/slipway/local/node/volume"
)

// plan is how each volume of an instance becomes a file. gather makes it, preparation carries it out.
type plan struct {
	claims map[string]string           // volume name → id of the claim's volume
	images map[string]volume.Reference // volume name → image to bring
	cdroms map[string]bool             // volume names whose image is read as it is
	over   map[string]string           // volume name → id of the volume that an own overlay covers
	empty  map[string]int64            // volume name → size of an empty disk
	seed   map[string]seed.Data        // volume name → seed to write
}

// preparation makes the instance's own disks. What exists is kept, so that it may run again at any time.
func (r *Reconciler) preparation(vmi *virtv1.VirtualMachineInstance, p plan) job.Work {
	uid, f := vmi.UID, filesOf(r.Runtime.root, vmi.UID)
	uefi := domain.UsesUEFI(&vmi.Spec.Domain)
	return func(ctx context.Context, progress func(done, total int64)) error {
		if err := f.make(); err != nil {
			return err
		}
		for name, ref := range p.images {
			if err := r.bringImage(ctx, f, p, name, ref, uid, progress); err != nil {
				return err
			}
		}
		if err := r.makeDisks(ctx, f, p); err != nil {
			return err
		}
		if uefi {
			return copyOnce(UEFIVarsTemplate, f.uefiVars())
		}
		return nil
	}
}

// bringImage restores an image and notes, before it lets go of it, that the instance needs it.
func (r *Reconciler) bringImage(ctx context.Context, f files, p plan, name string, ref volume.Reference, uid types.UID, progress func(done, total int64)) error {
	base, release, err := r.Bases.Acquire(ctx, ref, progress)
	if err != nil {
		return fmt.Errorf("volume %q: %w", name, err)
	}
	defer release()
	r.note(uid, base.Digest)
	if p.cdroms[name] {
		return linkBase(base.File, f.disk(name))
	}
	return overlayOnce(ctx, f.disk(name), qemu.Backing{File: base.File, Format: "raw"}, base.Size)
}

func (r *Reconciler) makeDisks(ctx context.Context, f files, p plan) error {
	for name, id := range p.over {
		record, err := r.Volumes.Get(id)
		if err != nil {
			return fmt.Errorf("volume %q: %w", name, err)
		}
		if err := overlayOnce(ctx, f.disk(name), qemu.Backing{File: r.Volumes.File(id), Format: "qcow2"}, record.Size); err != nil {
			return err
		}
	}
	for name, size := range p.empty {
		if err := overlayOnce(ctx, f.disk(name), qemu.Backing{}, size); err != nil {
			return err
		}
	}
	for _, data := range p.seed {
		if err := seed.Write(f.seed(), data); err != nil {
			return err
		}
	}
	return nil
}

// overlayOnce makes an overlay under a name that it has only when it is complete.
func overlayOnce(ctx context.Context, file string, over qemu.Backing, size int64) error {
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	next := file + ".partial"
	if err := volume.CreateOverlay(ctx, next, over, size); err != nil {
		return err
	}
	if err := os.Rename(next, file); err != nil {
		return fmt.Errorf("make disk: %w", err)
	}
	return nil
}

// linkBase names a base image inside the instance's directory, so that all its disks are found in one place.
func linkBase(base, link string) error {
	relative, err := filepath.Rel(filepath.Dir(link), base)
	if err != nil {
		return fmt.Errorf("name base image: %w", err)
	}
	if err := os.Symlink(relative, link); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("name base image: %w", err)
	}
	return nil
}

func copyOnce(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	source, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy UEFI variables: %w: run apt-get install ovmf", err)
	}
	defer source.Close()
	next := to + ".partial"
	target, err := os.OpenFile(next, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("copy UEFI variables: %w", err)
	}
	_, err = io.Copy(target, source)
	if err := errors.Join(err, target.Close()); err != nil {
		return fmt.Errorf("copy UEFI variables: %w", err)
	}
	if err := os.Rename(next, to); err != nil {
		return fmt.Errorf("copy UEFI variables: %w", err)
	}
	return nil
}

// The files of Debian's package ovmf.
const (
	UEFICode         = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	UEFIVarsTemplate = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

// launch puts together what Start needs.
func (r *Reconciler) launch(vmi *virtv1.VirtualMachineInstance, g gathered) (Record, qemu.Spec, error) {
	f := filesOf(r.Runtime.root, vmi.UID)
	port, err := r.Runtime.ports.take(vmi.Namespace + "/" + vmi.Name)
	if err != nil {
		return Record{}, qemu.Spec{}, err
	}
	spec, err := domain.Translate(domain.Input{
		VMI: vmi, Files: r.locate(f, g.plan), Address: vmi.Annotations[AddressAnnotation], SSHPort: port,
		Accelerator: r.Accelerator.Accelerator, UEFICode: UEFICode, UEFIVars: f.uefiVars(),
		Sockets: f.listen(), ConsoleLog: f.console(),
	})
	if err != nil {
		return Record{}, qemu.Spec{}, fmt.Errorf("describe guest: %w", err)
	}
	record := Record{
		UID: vmi.UID, Namespace: vmi.Namespace, Name: vmi.Name, Accelerator: r.Accelerator.Accelerator, SSHPort: port,
		Bases: r.noted(vmi.UID), Volumes: g.plan.uses(), Started: r.Clock.Now().UTC(),
	}
	return record, spec, nil
}

// locate says where each volume's file is.
func (r *Reconciler) locate(f files, p plan) map[string]domain.File {
	out := map[string]domain.File{}
	for name, id := range p.claims {
		out[name] = domain.File{Path: r.Volumes.File(id), Format: "qcow2"}
	}
	for name := range p.images {
		out[name] = domain.File{Path: f.disk(name), Format: "qcow2"}
		if p.cdroms[name] {
			out[name] = domain.File{Path: f.disk(name), Format: "raw", ReadOnly: true}
		}
	}
	for name := range p.over {
		out[name] = domain.File{Path: f.disk(name), Format: "qcow2"}
	}
	for name := range p.empty {
		out[name] = domain.File{Path: f.disk(name), Format: "qcow2"}
	}
	for name := range p.seed {
		out[name] = domain.File{Path: f.seed(), Format: "raw", ReadOnly: true}
	}
	return out
}

// uses are the volumes that the process will have open. One below an overlay has no disk of its own.
func (p plan) uses() map[string]string {
	out := map[string]string{}
	for name, id := range p.claims {
		out[id] = name
	}
	for _, id := range p.over {
		out[id] = ""
	}
	return out
}
