// Package archive turns trees into tar archives and back.
//
// In comes a file tree; out comes one and the same gzipped tar for one and the same tree: sorted, without times, owners and
// machine. In comes a tar, gzipped, zstd-compressed or plain, from whom nobody vouches for; out comes a read-only tree.
//
// It never writes a name that an archive chose to a disk: contents go into one unnamed spool file and are read from there.
// Whatever breaks a limit, leads out of the tree, stands there twice or is neither a file, a directory nor a symbolic link
// refuses the whole archive. Symbolic links are listed and never followed.
package archive
