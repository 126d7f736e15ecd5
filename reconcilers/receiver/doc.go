// Package receiver lets forges and registries tell of a push.
//
// In come Receivers and HTTP requests; out go requests for a look at sources, as an annotation. A request is answered only
// on a path that cannot be guessed, and its body is not parsed before the sender has proven that it knows the token. What a
// body says is never believed beyond the name of its event: the source itself is asked.
//
// It never reaches into another namespace, never keeps a body, and acts once on a delivery that is sent again.
package receiver
