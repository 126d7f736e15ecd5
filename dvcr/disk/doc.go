// Package disk stores virtual machine disks as OCI artifacts and brings them back.
//
// What comes in: the raw content of a disk (a Source: a raw file, a qcow2 file, a stream) and an OCI target to put it in;
// or an OCI target and a reference, and a file to restore into.
//
// What goes out: one artifact per disk, an image index over one manifest with a config, a table of contents and packs of
// zstd frames; or a sparse file with exactly the content that was pushed. docs/disk-format.md describes the bytes.
//
// The same content, pushed with the same bases, always gives the same digests. Frames that the target already holds, from
// this push, from an interrupted one or from a base version, are neither compressed nor uploaded again.
//
// What it never does: write a byte to a file that was not verified against the artifact's digest, read a whole disk into
// memory, follow a qcow2 backing file, or speak to Kubernetes.
package disk
