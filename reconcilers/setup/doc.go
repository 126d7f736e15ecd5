// Package setup registers Slipway's controllers on a manager.
//
// In comes a manager and the collaborators that the binaries choose (registry,
// importer, stores); out goes a manager that runs stage 1 (sources to applied
// objects), stage 2 (module kinds to KubeVirt and CDI), or both. It is wiring
// alone and decides nothing.
package setup
