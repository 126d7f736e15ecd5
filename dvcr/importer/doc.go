// Package importer brings disk images from where they are into DVCR.
//
// What comes in: a Job, which names a source (an HTTP URL or a container image) and a destination (a repository and tag).
//
// What goes out: an artifact in DVCR as package disk makes them, the job's State with progress and result, and an event for
// each change of it. A failed job says why with one of the package's errors, so that a caller can decide without reading text.
//
// A download lands in a file beside the import, which reads behind it as it grows; both continue after a broken connection and
// after a killed process: the download by a range request, the import by the packs that DVCR has. The file is removed when
// the job is done or forgotten.
//
// What it never does: follow a link to a link-local or metadata address, believe a length or a header without bounds, publish
// a tag before the source's checksum is verified, or speak to Kubernetes.
package importer
