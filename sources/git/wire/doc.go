// Package wire speaks Git's smart protocol, versions 2 and 0, over HTTP(S) and SSH.
//
// In come an endpoint, with an HTTP transport or a way to open an SSH connection that already know the credentials and the
// addresses that are allowed, and what is wanted. Out come references and the bytes of a pack, to the caller's writer. All
// that a server says is bounded: the bytes of its list of references, of a line, of an error. It never interprets a pack,
// never keeps one, and never follows a redirect but the first request's.
package wire
