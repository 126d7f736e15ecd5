// Package instance runs KubeVirt instances as QEMU processes, one each.
//
// In: VirtualMachineInstances, the volumes and Secrets they name. Out: processes that outlive this one, and the
// instances' status in KubeVirt's own words. A Runtime owns the processes and their directory; the reconciler gathers,
// decides by a pure function, acts, and writes one status. It creates no instance and deletes none.
//
//	instances/<uid>/record.json   what runs, written before it is started
//	instances/<uid>/events.log    QEMU's own log of events, from which the end of a guest is read
//	instances/<uid>/console.log   the serial console, begun anew at 4 MiB; .old is what was before
//	instances/<uid>/qemu.log      what QEMU printed
package instance
