// Package kubevirt gives the engine stock KubeVirt: which commands to build, and the objects to apply.
//
// In comes the generator's program, built from the module beside this package, and a [Plan]; out go the objects by
// stages, and certificates as files for control planes that run on the host. The package applies nothing and starts
// nothing.
package kubevirt
