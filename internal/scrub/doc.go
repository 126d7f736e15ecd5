// Package scrub removes credentials from texts that people read: errors, events, conditions, logs.
//
// In come the secrets that a caller knows and a text from anywhere, such as a server that repeats what it was sent; out
// comes the text without the secrets in any of their usual spellings, and without what looks like a credential although
// nobody knew it: user information in URLs, tokens, signatures in queries, private keys. It never fails and never keeps a
// text.
package scrub
