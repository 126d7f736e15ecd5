// Package manifest writes down what CDI's operator would install, made by CDI's own generators.
//
// In comes a [Plan]; out goes a directory with one List file for each stage, in the order in which they are to be applied,
// and the certificates as files. The package talks to no cluster; monitoring, OpenShift's kinds and the importers of
// other platforms are left out.
package manifest
