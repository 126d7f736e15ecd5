// Package kubetest gives tests a real Kubernetes API server: one for each test
// binary, with its data in a temporary directory, gone when the binary ends.
//
// In come the directories of CustomResourceDefinitions, out go a client
// configuration with all rights, namespaces of their own for tests that run side
// by side, and the wait for a change that a controller makes. It never skips: a
// test that needs an API server and cannot have one fails.
package kubetest
