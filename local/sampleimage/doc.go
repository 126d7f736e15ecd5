// Package sampleimage builds the small guest that the demo and the tests boot.
//
// In: a file name. Out: a bootable qcow2 made of Debian's packages by build.sh, which the package carries with the
// guest's own files. It never mounts anything, needs no privilege and changes nothing but the output and the package
// cache. README.md beside it says what the guest can do.
package sampleimage
