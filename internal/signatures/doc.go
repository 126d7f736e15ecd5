// Package signatures tells whether an OCI artifact is signed by who is trusted.
//
// In come the data of a Secret that says who is trusted, the registry that the artifact lies in, and the artifact's digest.
// Out comes who signed, or an error that tells a verdict from a registry that does not answer.
//
// It never fetches the artifact itself, and never trusts anybody whom the Secret does not name.
package signatures
