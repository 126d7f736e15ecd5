// Package position finds where in a source tree the fields of rendered objects stand, for messages.
//
// In come a source tree, objects that remember the file and line they came from, and paths of fields; out come files and
// lines. It reads the files as they are, encrypted ones among them, and never says what stands there.
package position
