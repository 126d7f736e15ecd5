package registry

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// Key is the secret from which the passwords of a registry's own users follow. A server and those who give logins to others
// share it; it is never given on. Who holds it may do everything.
type Key []byte

// ErrWeakKey says that a key is too short to keep a secret.
var ErrWeakKey = errors.New("a registry's key needs 32 bytes or more")

// NewKey makes a key of letters and digits.
func NewKey() Key { return Key(rand.Text() + rand.Text()) }

// Check refuses a key that can be guessed.
func (k Key) Check() error {
	if len(k) < minKey {
		return ErrWeakKey
	}
	return nil
}

// Controller is a user that may do everything.
func (k Key) Controller() Credentials { return k.user(controllerName) }

// Reader is a user that may read every repository and write none.
func (k Key) Reader() Credentials { return k.user(readerName) }

// ReaderOf is a user that may read the cluster's images and those of a namespace.
func (k Key) ReaderOf(namespace string) Credentials { return k.user(readerPrefix + namespace) }

// WriterOf is a user that may read the same and write the namespace's.
func (k Key) WriterOf(namespace string) Credentials { return k.user(writerPrefix + namespace) }

// ImporterOf is a user that fills one repository, such as "vi/team/debian", and may read what the repository's owner may.
func (k Key) ImporterOf(repository string) Credentials { return k.user(importerPrefix + repository) }

// Derive makes a secret for another purpose, which tells nothing of the key.
func (k Key) Derive(purpose string) []byte { return k.sum("purpose:" + purpose) }

func (k Key) user(name string) Credentials {
	return Credentials{Username: name, Password: hex.EncodeToString(k.sum("user:" + name))}
}

func (k Key) sum(text string) []byte {
	h := hmac.New(sha256.New, k)
	h.Write([]byte(text))
	return h.Sum(nil)
}
