// Package uploads receives in a cluster what users upload for images and disks.
//
// In come the upload server of the importer and the address of this pod; out go an HTTP server that runs where the manager
// leads, and an EndpointSlice that leads the Service slipway-uploads to it: only the leader knows which uploads are expected.
//
// It never serves an upload itself, and keeps nothing: the next leader writes its own address into the same EndpointSlice.
package uploads
