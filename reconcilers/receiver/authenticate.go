package receiver

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"strings"

	"slipway.dev/slipway/api/gitops/v1alpha1"
)

// errDenied says that a sender did not prove that it knows the token. Which part
// of the proof was wrong is not told.
var errDenied = errors.New("the request is not authenticated")

// authenticate checks the proof of a request. An empty token proves nothing.
func authenticate(kind v1alpha1.ReceiverType, token []byte, header http.Header, body []byte) error {
	if len(token) == 0 {
		return errDenied
	}
	switch kind {
	case v1alpha1.GenericReceiver, v1alpha1.DockerHubReceiver:
		return nil // the path is the proof
	case v1alpha1.GitLabReceiver:
		return equal(token, header.Get("X-Gitlab-Token"))
	case v1alpha1.HarborReceiver:
		return equal(token, header.Get("Authorization"))
	case v1alpha1.GitHubReceiver:
		return signed(token, header.Get("X-Hub-Signature-256"), body)
	case v1alpha1.BitbucketReceiver:
		return signed(token, header.Get("X-Hub-Signature"), body)
	case v1alpha1.GenericHMACReceiver:
		return signed(token, header.Get("X-Signature"), body)
	case v1alpha1.GiteaReceiver:
		return signed(token, prefixed(header.Get("X-Gitea-Signature")), body)
	case v1alpha1.ForgejoReceiver:
		return signed(token, prefixed(header.Get("X-Forgejo-Signature")), body)
	}
	return errDenied
}

// equal compares in constant time, whatever the lengths.
func equal(token []byte, sent string) error {
	want, got := sha256.Sum256(token), sha256.Sum256([]byte(sent))
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return errDenied
	}
	return nil
}

// prefixed names the algorithm of a signature that is sent without.
func prefixed(signature string) string {
	if signature == "" {
		return ""
	}
	return "sha256=" + signature
}

// hashes that a signature may be made with. SHA-1 is not among them.
var hashes = map[string]func() hash.Hash{"sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}

// signed checks "<hash>=<hexadecimal HMAC of the body>".
func signed(token []byte, signature string, body []byte) error {
	name, sent, found := strings.Cut(signature, "=")
	newHash, known := hashes[name]
	if !found || !known {
		return errDenied
	}
	got, err := hex.DecodeString(sent)
	if err != nil {
		return errDenied
	}
	mac := hmac.New(newHash, token)
	_, _ = mac.Write(body) // a hash does not fail
	if !hmac.Equal(mac.Sum(nil), got) {
		return errDenied
	}
	return nil
}
