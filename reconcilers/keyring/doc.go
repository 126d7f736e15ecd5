// Package keyring keeps the two Secrets that DVCR and the controllers share in a cluster.
//
// In come a client, Slipway's namespace and DVCR's host name; out go the key from which logins follow and the authority by
// which DVCR is trusted, kept in the Secrets slipway-dvcr-key and slipway-dvcr-certificate, which DVCR's pod mounts. What is
// missing is made, a certificate that ends soon is renewed. Replicas may do this side by side: the first one's is taken.
//
// It never changes a key that is there, nor a certificate whose authority's key is not beside it: that is somebody else's.
package keyring
