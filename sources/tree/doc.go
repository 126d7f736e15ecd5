// Package tree is the file tree that every source ends in: a read-only fs.FS built from a flat list of entries.
//
// In come entries (path, mode, size) and a function that opens one of them. Out comes an fs.FS whose directories are
// derived from the paths, and whose names have been checked once, so that no later stage meets "..", an absolute name,
// a control character or a name that is a file and a directory at the same time.
//
// It never touches a disk by itself and never follows a symbolic link: a link is listed, and using it is an error that
// names it.
package tree
