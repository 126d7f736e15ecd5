// Package programs holds the small static programs that the engine's own images are made of. They are a module without
// dependencies, so that a change elsewhere makes no image anew.
package programs
