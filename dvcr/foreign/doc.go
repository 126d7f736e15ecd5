// Package foreign reads disks in formats that others invented: VMDK, VDI, VHD and VHDX.
//
// In comes an open file and the name of its format; out goes a disk.Source that gives the raw disk by extents. The format
// itself is decoded by qemu-nbd in a child process that has no network, may write nothing, and is bounded in memory and
// processor time. Nothing is converted to a file: the source reads through a socket what it needs, so that no scratch
// space is taken.
//
// What it never does: let an image that names other files reach the child, run a shell, or leave a child behind.
package foreign
