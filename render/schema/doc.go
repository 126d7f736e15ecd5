// Package schema checks rendered objects against CustomResourceDefinitions without asking a cluster.
//
// In come objects, the definitions of their kinds, and the source tree that they were rendered from; out come faults
// that name file, line, object and field: unknown fields, wrong types, missing and unsupported values, and broken
// rules. The checks are the API server's own code.
//
// Of Kubernetes' own kinds it knows fields and types, from the Go types of the API; their values are the API server's to
// check. It also says which type a field has, for the substitution of variables.
//
// It never looks at kinds that it has no definition of: the API server checks those. It never changes an object, and never
// prints a value that does not stand in the source in clear.
package schema
