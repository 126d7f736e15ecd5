// Package cdi gives the engine stock CDI: which commands to build, and the objects to apply.
//
// In comes the generator's program, built from the module beside this package, and a [Plan]; out go the objects by
// stages, and certificates as files for an API server that runs on the host. The package applies nothing and starts
// nothing. Imports from VMware are left out: their library cannot be had.
package cdi
