// Package schema checks rendered objects against CustomResourceDefinitions without asking a cluster.
//
// In come objects, the definitions of their kinds, and the source tree that they were rendered from; out come faults
// that name file, line, object and field: unknown fields, wrong types, missing and unsupported values, and broken
// rules. The checks are the API server's own code.
//
// It never looks at kinds that have no definition here, native ones among them: the API server checks those. It never
// changes an object, and never prints a value that may be secret.
package schema
