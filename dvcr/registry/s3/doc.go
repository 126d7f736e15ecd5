// Package s3 keeps DVCR's blobs in a bucket of an S3 server.
//
// What comes in: which bucket, and where. The login comes from where AWS' own tools take it: the environment, the shared
// credentials file, a web identity or the machine's role. AWS_CA_BUNDLE names the certificates to trust.
//
// What goes out: the Storage that a registry.Config takes.
//
// What it never does: create a bucket, or talk to one before the registry starts. It stands apart from package registry so that
// only the program that serves from a bucket carries the driver.
package s3
