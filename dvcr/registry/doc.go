// Package registry serves and reaches DVCR, the registry that holds disk images.
//
// What comes in: a directory and an address for the server; an address and credentials for the client.
//
// What goes out: an OCI registry (distribution v3 as a library, on the file system or a bucket) that answers on that address to
// authenticated users only; and oras repositories by name. A full disk is answered with 507 Insufficient Storage, so that a
// client can tell it from any other failure.
//
// What it never does: serve without authentication, write outside its directory and its storage, hold state that a killed process would
// lose, or know what a disk is.
package registry
