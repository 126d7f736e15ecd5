// Package garbage has DVCR collect what no object needs any more.
//
// What comes in: a schedule, and the images, disks and tombstones of the API.
//
// What goes out: the list of references that are alive, and DVCR's report in the log.
//
// What it never does: decide what is removed, or send a list that it could not read in full.
package garbage
