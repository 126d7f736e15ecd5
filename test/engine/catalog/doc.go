// Package catalog lists what the engine is made of: modules to compile, images to make, by component.
//
// In comes the directory of this module's sources; out go lists for packages build and image. It is the one place that
// knows which program is in which image. The package builds nothing.
package catalog
