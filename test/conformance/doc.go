// Package conformance compares Slipway's module kinds with the reference: the CustomResourceDefinitions and the kustomize
// suites of Deckhouse Virtualization Platform v1.8.
//
// In: the generated definitions (config/crd) and the reference, found by the environment variable SLIPWAY_REFERENCE or in
// ../shared beside the repository. Out: a test that fails for each difference that accepted.yaml does not list with its
// reason, and for each one it lists that does not occur. Without the reference the tests that need it are skipped.
//
// The package is for tests only. It never changes the definitions, and copies nothing of the reference.
package conformance
