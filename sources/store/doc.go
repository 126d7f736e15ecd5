// Package store keeps source trees on disk, named by their content.
//
// In comes an fs.FS; out comes a digest, and for a digest the same tree again. A tree's digest is the SHA-256 of its
// canonical listing (mode, content digest, size and path of each file, sorted by path), so that the same files always
// have the same name, whoever brought them. File contents are stored once, however many trees hold them, and are
// verified each time they are read.
//
// It never writes into a tree that exists, never follows a symbolic link, and holds nothing that cannot be fetched
// again: deleting its directory loses no data.
package store
