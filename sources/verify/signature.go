package verify

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/ProtonMail/go-crypto/openpgp"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/ssh"
)

var (
	beginPGP = []byte("-----BEGIN PGP SIGNATURE-----")
	beginSSH = []byte("-----BEGIN SSH SIGNATURE-----")
)

// Commit returns who signed a commit, as Git stores it.
func (k *Keys) Commit(raw []byte) (Signer, error) {
	payload, signature, err := splitCommit(raw)
	if err != nil {
		return Signer{}, err
	}
	return k.check(payload, signature)
}

// Tag returns who signed an annotated tag, as Git stores it. A tag of another name, or on another commit, is ErrInvalid: a
// server must not pass off one good tag as another.
func (k *Keys) Tag(raw []byte, name, commit string) (Signer, error) {
	payload, signature, err := splitTag(raw)
	if err != nil {
		return Signer{}, err
	}
	head, _, _ := bytes.Cut(payload, []byte("\n\n"))
	for header, want := range map[string]string{"object": commit, "type": "commit", "tag": name} {
		got, once := headerOf(head, header)
		if !once || got != want {
			return Signer{}, fmt.Errorf("%w: the tag says %s %.80q where it should say %q", ErrInvalid, header, got, want)
		}
	}
	return k.check(payload, signature)
}

// headerOf returns the value of a header that stands there exactly once.
func headerOf(head []byte, name string) (value string, once bool) {
	n := 0
	for line := range bytes.Lines(head) {
		if rest, found := bytes.CutPrefix(line, []byte(name+" ")); found {
			value = string(bytes.TrimSuffix(rest, []byte("\n")))
			n++
		}
	}
	return value, n == 1
}

// splitCommit takes the signature out of a commit's headers. What is left is what was signed.
func splitCommit(raw []byte) (payload, signature []byte, err error) {
	head, message, found := bytes.Cut(raw, []byte("\n\n"))
	if !found {
		head = bytes.TrimSuffix(raw, []byte("\n"))
	}
	inside, seen := false, 0
	for line := range bytes.Lines(append(bytes.Clone(head), '\n')) {
		rest, begins := bytes.CutPrefix(line, []byte("gpgsig "))
		switch {
		case begins:
			seen++
			inside = true
			signature = append(signature, rest...)
		case inside && line[0] == ' ':
			signature = append(signature, line[1:]...)
		default:
			inside = false
			payload = append(payload, line...)
		}
	}
	switch {
	case seen == 0:
		return nil, nil, ErrUnsigned
	case seen > 1:
		return nil, nil, fmt.Errorf("%w: there are %d of them", ErrInvalid, seen)
	}
	if found {
		payload = append(append(payload, '\n'), message...)
	}
	return payload, signature, nil
}

// splitTag takes the signature from the end of a tag, where it begins with the last line that looks like one.
func splitTag(raw []byte) (payload, signature []byte, err error) {
	at, offset := -1, 0
	for line := range bytes.Lines(raw) {
		if bytes.HasPrefix(line, beginPGP) || bytes.HasPrefix(line, beginSSH) {
			at = offset
		}
		offset += len(line)
	}
	if at < 0 {
		return nil, nil, ErrUnsigned
	}
	return raw[:at], raw[at:], nil
}

// check finds the key that made a signature.
func (k *Keys) check(payload, signature []byte) (Signer, error) {
	switch {
	case len(signature) > maxSignature:
		return Signer{}, fmt.Errorf("%w: it has more than %d bytes", ErrInvalid, maxSignature)
	case bytes.HasPrefix(signature, beginSSH):
		return k.checkSSH(payload, signature)
	case bytes.HasPrefix(signature, beginPGP):
		return k.checkPGP(payload, signature)
	}
	return Signer{}, fmt.Errorf("%w: it is neither of PGP nor of SSH", ErrInvalid)
}

// checkPGP tries all keys at once; the library chooses by key ID, and checks that the key was good.
func (k *Keys) checkPGP(payload, signature []byte) (Signer, error) {
	ring := make(openpgp.EntityList, 0, len(k.pgp))
	for _, key := range k.pgp {
		ring = append(ring, key.entity)
	}
	entity, err := openpgp.CheckArmoredDetachedSignature(ring, bytes.NewReader(payload), bytes.NewReader(signature), &packet.Config{})
	switch {
	case errors.Is(err, pgperrors.ErrUnknownIssuer):
		return Signer{}, fmt.Errorf("%w: its PGP key is not among the %d given", ErrUntrusted, len(k.pgp))
	case err != nil:
		return Signer{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for _, key := range k.pgp {
		if key.entity == entity {
			return pgpSigner(key), nil
		}
	}
	return Signer{}, ErrUntrusted
}

func pgpSigner(key pgpKey) Signer {
	s := Signer{Name: key.name, Fingerprint: fmt.Sprintf("%X", key.entity.PrimaryKey.Fingerprint)}
	if id := key.entity.PrimaryIdentity(); id != nil {
		s.Identity = id.Name
	}
	return s
}

func (k *Keys) checkSSH(payload, signature []byte) (Signer, error) {
	s, err := parseSSHSignature(signature)
	if err != nil {
		return Signer{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	for _, key := range k.ssh {
		if !bytes.Equal(key.wire, s.key.Marshal()) {
			continue
		}
		if err := s.verify(payload); err != nil {
			return Signer{}, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return Signer{Name: key.name, Fingerprint: ssh.FingerprintSHA256(s.key), Identity: key.principals}, nil
	}
	return Signer{}, fmt.Errorf("%w: its SSH key is %s", ErrUntrusted, ssh.FingerprintSHA256(s.key))
}
