package verify

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/ssh"
)

// The constants of the format of SSH signatures.
const (
	sshMagic     = "SSHSIG"
	sshVersion   = 1
	gitNamespace = "git"
	// minRSA is the smallest RSA key that is taken seriously, in bits.
	minRSA = 2048
	// dsa is the type of keys that are too short by definition.
	dsa = "ssh-dss"
)

// sshSignature is a detached SSH signature.
type sshSignature struct {
	key       ssh.PublicKey
	hash      string
	signature *ssh.Signature
}

// parseSSHSignature reads one in its armor. One that was made for another use than Git is an error.
func parseSSHSignature(armored []byte) (*sshSignature, error) {
	block, rest := pem.Decode(armored)
	if block == nil || block.Type != "SSH SIGNATURE" || len(block.Headers) > 0 {
		return nil, errors.New("it does not parse")
	}
	for _, b := range rest {
		if b != '\n' && b != '\r' && b != ' ' {
			return nil, errors.New("there is something behind it")
		}
	}
	var fields struct {
		Magic     [6]byte
		Version   uint32
		Key       []byte
		Namespace string
		Reserved  string
		Hash      string
		Signature []byte
	}
	if err := ssh.Unmarshal(block.Bytes, &fields); err != nil {
		return nil, fmt.Errorf("it does not parse: %w", err)
	}
	switch {
	case string(fields.Magic[:]) != sshMagic || fields.Version != sshVersion:
		return nil, errors.New("it is of another version of the format")
	case fields.Namespace != gitNamespace:
		return nil, fmt.Errorf("it was made for %.40q, not for git", fields.Namespace)
	}
	return parseSSHParts(fields.Key, fields.Hash, fields.Signature)
}

func parseSSHParts(rawKey []byte, hash string, raw []byte) (*sshSignature, error) {
	key, err := ssh.ParsePublicKey(rawKey)
	if err != nil {
		return nil, fmt.Errorf("its key does not parse: %w", err)
	}
	s := &sshSignature{key: key, hash: hash, signature: &ssh.Signature{}}
	if err := ssh.Unmarshal(raw, s.signature); err != nil {
		return nil, fmt.Errorf("it does not parse: %w", err)
	}
	if hash != "sha256" && hash != "sha512" {
		return nil, fmt.Errorf("it is made with the hash %.20q", hash)
	}
	return s, s.strong()
}

// strong refuses what nobody should sign with any more.
func (s *sshSignature) strong() error {
	if s.signature.Format == ssh.KeyAlgoRSA || s.key.Type() == dsa {
		return fmt.Errorf("it is made with the algorithm %s, which is broken", s.signature.Format)
	}
	if s.key.Type() != ssh.KeyAlgoRSA {
		return nil
	}
	var rsa struct {
		Name string
		E, N []byte
	}
	if err := ssh.Unmarshal(s.key.Marshal(), &rsa); err != nil || (len(rsa.N)-1)*8 < minRSA {
		return fmt.Errorf("its RSA key has fewer than %d bits", minRSA)
	}
	return nil
}

// verify checks the signature against what was signed.
func (s *sshSignature) verify(payload []byte) error {
	var sum []byte
	if s.hash == "sha256" {
		h := sha256.Sum256(payload)
		sum = h[:]
	} else {
		h := sha512.Sum512(payload)
		sum = h[:]
	}
	signed := ssh.Marshal(struct {
		Magic     [6]byte
		Namespace string
		Reserved  string
		Hash      string
		Sum       []byte
	}{[6]byte([]byte(sshMagic)), gitNamespace, "", s.hash, sum})
	if err := s.key.Verify(signed, s.signature); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	return nil
}
