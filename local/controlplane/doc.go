// Package controlplane runs a Kubernetes control plane in one process: an
// embedded etcd, kube-apiserver and the controllers of kube-controller-manager
// without which an API server alone misbehaves (namespaces that never finish
// terminating, owned objects that are never collected).
//
// In comes a [Config]: a data directory and a few switches. Out goes an HTTPS
// endpoint on loopback, an admin kubeconfig in the data directory, and a
// [Ready] value once the API server answers. Everything lives below the data
// directory, so that stopping and starting again finds the same objects, the
// same certificate authority and, where it is still free, the same port.
//
// It never listens on anything but loopback and Unix sockets, never runs pods
// (there is no kubelet and no scheduler), and knows nothing of Slipway: it is a
// Go module of its own so that k8s.io/kubernetes stays out of Slipway's.
package controlplane
