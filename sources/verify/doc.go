// Package verify tells who signed a Git commit or tag.
//
// In come public keys, as the values of a Secret hold them, and objects as Git stores them; out comes the key that made
// the signature, or an error that says why none did. PGP and SSH signatures are understood, X.509 ones are not. A key is
// trusted because it was given, never because of who vouches for it, and a signature counts only when it was made for Git,
// by a strong algorithm, with a key that has not expired and was not revoked. It reads no files and asks no servers.
package verify
