// Package substitute puts the values of variables into rendered objects.
//
// In come objects, variables, and the schemas of the objects' kinds; out come the same objects with ${NAME} replaced, in
// the syntax that Flux has: defaults, substrings, replacements, changes of case. Each value goes into one field of one
// object and takes the type that the schema gives to that field, so that no value can add fields, objects or documents.
//
// It never replaces a variable that is not declared, never changes an object that opts out, and never puts the value of a
// variable into an error.
package substitute
