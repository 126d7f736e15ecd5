// Package pack reads the packs in which Git servers send objects.
//
// In comes a file with a pack as the server sent it; out come objects by their hash. The whole pack is checked before the
// first object is handed out: each object against its hash (with detection of SHA-1 collisions), the pack against its
// checksum, and all against limits, so that a small pack cannot grow without end. Content stays on disk: an index of some
// tens of bytes for each object and a small cache are all that is held in memory. It never writes, and it never trusts a
// length that it has not read.
package pack
