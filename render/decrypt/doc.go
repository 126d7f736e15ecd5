// Package decrypt opens files that SOPS has encrypted.
//
// In come the private keys of a tenant, for age and for PGP, and encrypted files as YAML nodes or bytes: YAML, JSON,
// dotenv, and what SOPS calls binary. Out comes the same in clear, in memory, once its message authentication code has
// proved that nothing was changed.
//
// It never writes a file, starts a program, asks a key service on the network, or puts a value or a key into an error.
package decrypt
