// Package upload receives disk images that users send over HTTP.
//
// In come requests to paths that hold a secret: "curl -T disk.qcow2 URL", or a form with one file. Out go the bytes, to whoever
// opened the Slot of that path, in order and without a copy. A Slot takes one request at a time. When a connection breaks, HEAD
// tells in Upload-Offset how much has arrived, and a request with Content-Range goes on from there ("curl -T FILE -C OFFSET");
// one without begins anew. The answer says what became of the image, when that is known soon.
//
//	HEAD /upload/<secret>                                     200, Upload-Offset: how many bytes are here
//	PUT  /upload/<secret>                                     the whole file; POST is the same, or a form
//	PUT  /upload/<secret>   Content-Range: bytes 100-199/200  what is missing of it
//
//	201 it is imported · 202 it has arrived, or a part of it · 400 nothing was sent · 404 nothing is expected here
//	413 it is too large · 416 other bytes are expected · 422 it is refused, and why · 503 another upload runs
//
// What it never does: keep bytes, write a path or its secret to a log, or answer a path whose Slot is closed.
package upload
