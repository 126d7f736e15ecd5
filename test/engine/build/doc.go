// Package build compiles the engine's programs into a cache.
//
// In come modules with the commands wanted of each; out go the paths of static or dynamic binaries in a directory that is
// named by everything they were made of: go.mod, go.sum, the module's own sources, the Go version and the flags. A
// binary that is there is never built again, and two builds at a time wait for each other. The package never
// downloads anything but through the go command, and never changes a module.
package build
