// Package flux fetches the archives that Flux's source-controller serves, and all who follow its API.
//
// In come the URL, the digest and perhaps the size of an archive, as the status of a source tells them; out comes the
// archive's content as a read-only tree. The archive is checked against its digest before anything of it is unpacked, sizes
// are bounded before and while reading, and connections go only where the egress policy allows, redirects included. It
// knows no cluster, sends no credentials and never repeats what a server says.
package flux
