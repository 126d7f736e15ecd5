// Package kube gives a process a Kubernetes control plane of its own on
// loopback: it finds or builds the program slipway-controlplane, runs it on a
// data directory, and stops it again.
//
// In comes a directory, out go a client configuration and a kubeconfig. The
// control plane ends with the process that started it, even when that one is
// killed, unless it was started detached; then the next start on the same
// directory takes it over. CustomResourceDefinitions are installed through
// [InstallCRDs].
//
// It never reaches a cluster that it did not start, never listens anywhere but
// on loopback, and links nothing of k8s.io/kubernetes.
package kube
