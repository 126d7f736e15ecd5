// Package preflight says what a machine lacks for the engine, before anything is done.
//
// In come questions to the host; out goes one error that names all that is missing and the line that brings it. The
// kernel is asked by trying, in namespaces that end with the question. The package changes nothing.
package preflight
