// Package fast shows Slipway's objects to stock KubeVirt without a node: its control plane runs as processes of this
// machine beside an embedded API server, in less than three minutes.
//
// In comes slipway-controlplane (SLIPWAY_CONTROLPLANE), which `make e2e-engine-fast` sets; KubeVirt and CDI are compiled
// into the engine's cache. Out goes a verdict: each golden object of the builders passes KubeVirt's own admission, a
// machine becomes an instance and a pod, what KubeVirt refuses is told and heals, CDI takes the volumes of disks, and
// CDI's own importer reads what DVCR holds.
//
// Nothing boots here: there is no kubelet. All traffic stays on loopback; the importer, which listens on all addresses,
// gets a network namespace.
package fast
