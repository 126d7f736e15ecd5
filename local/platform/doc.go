// Package platform runs all of Slipway on one machine: the registry DVCR, the
// embedded control plane, a Git server, every controller and the stand-in for
// KubeVirt, CDI and CSI.
//
// In comes a data directory and where the manifests are (the demo's repository,
// a local directory, or a URL); out goes a running platform with its addresses.
// Everything it keeps lives in the data directory, so the next start finds
// machines and disks as they were. It decides nothing for a kind: it only puts
// the parts together, in order, and takes them down in the reverse order.
package platform
