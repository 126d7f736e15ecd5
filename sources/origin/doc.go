// Package origin finds out which commit a directory holds.
//
// In comes a directory; out come the address, the revision and the time of the commit that is checked out there. It never
// changes anything, never connects, and leaves credentials of the address out.
package origin
