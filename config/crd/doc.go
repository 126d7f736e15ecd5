// Package crd carries the CustomResourceDefinitions of Slipway's own kinds and of the module kinds, generated from the Go
// types in api. Programs embed them to install them; `kubectl apply -f config/crd` does the same by hand.
//
// In: nothing. Out: YAML files. The package never installs them.
package crd
