// Package intake brings content from HTTP servers and container registries into
// DVCR for the kinds that ask for it: VirtualImage, ClusterVirtualImage and
// VirtualDisk.
//
// In comes a Request: what to fetch, where to put it and which object to wake
// when something happened. Out goes a Transfer: how far the import is, what it
// brought, or why it failed and when it is tried again. The Desk keeps the tries
// apart in time, the Shelf looks at and removes what lies in DVCR.
//
// The package keeps nothing that a restart could lose: a finished artifact is
// found again by its tag, and a failed import is tried anew at once. It never
// talks to the API server.
package intake
