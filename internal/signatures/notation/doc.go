// Package notation verifies signatures of OCI artifacts made with Notary Project's notation.
//
// In come the digest of an artifact, the registry that it lies in, and a trust policy with certificates. Out comes who
// signed, or an error. A policy that does not ask for authenticity is refused, plugins are not run, and certificates'
// revocation is asked for only where the egress policy allows.
package notation
