// Package cosign verifies and makes signatures of OCI artifacts in the forms that cosign knows.
//
// In come the digest of an artifact, the registry that it lies in and a policy: public keys, or identities with the
// authorities and logs that vouch for them. Out comes who signed, or an error. The forms are the tag "sha256-<hex>.sig" with
// simple signing payloads, the same as a referrer, and sigstore bundles as referrers.
//
// It never fetches the artifact itself, never asks anybody but the registry (the trust root is given, not downloaded), and
// looks at no more than a bounded number of signatures.
package cosign
