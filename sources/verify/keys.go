package verify

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ProtonMail/go-crypto/openpgp"
	"golang.org/x/crypto/ssh"
)

var (
	// ErrKeys says that the keys to verify with cannot be used.
	ErrKeys = errors.New("the keys to verify with cannot be used")
	// ErrUnsigned says that there is no signature.
	ErrUnsigned = errors.New("it is not signed")
	// ErrInvalid says that there is a signature, and that it is malformed or not one of what it stands on.
	ErrInvalid = errors.New("its signature is invalid")
	// ErrUntrusted says that the signature was made by none of the keys.
	ErrUntrusted = errors.New("it is signed by none of the keys")
)

// maxKeys is how many keys are read at most, and maxSignature the size of the longest signature, in bytes.
const (
	maxKeys      = 1000
	maxSignature = 64 << 10
)

// Keys are public keys that are trusted.
type Keys struct {
	pgp []pgpKey
	ssh []sshKey
}

type pgpKey struct {
	name   string
	entity *openpgp.Entity
}

type sshKey struct {
	name       string
	principals string
	wire       []byte
}

// Signer is who signed.
type Signer struct {
	// Name of the value that the key stands in.
	Name string
	// Fingerprint of the key: hexadecimal digits for PGP, SHA256:… for SSH.
	Fingerprint string
	// Identity is the user ID of a PGP key, or the principals or the comment of an SSH key. Whoever gave the key wrote it.
	Identity string
}

// String is how a signer stands in a status.
func (s Signer) String() string {
	if s.Identity == "" {
		return fmt.Sprintf("%s (%s)", s.Fingerprint, s.Name)
	}
	return fmt.Sprintf("%s (%s, %s)", s.Fingerprint, s.Identity, s.Name)
}

// ParseKeys reads keys: each value is a PGP public key block, or lines in the format of authorized_keys or of SSH's
// allowed signers. A value that is neither is an ErrKeys that names it: a key that is silently passed over would be missed
// only when it counts.
func ParseKeys(values map[string][]byte) (*Keys, error) {
	k := &Keys{}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if err := k.parse(name, values[name]); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrKeys, name, err)
		}
	}
	switch n := len(k.pgp) + len(k.ssh); {
	case n == 0:
		return nil, fmt.Errorf("%w: there are none; put PGP public keys or SSH public keys there", ErrKeys)
	case n > maxKeys:
		return nil, fmt.Errorf("%w: there are more than %d", ErrKeys, maxKeys)
	}
	return k, nil
}

func (k *Keys) parse(name string, value []byte) error {
	switch {
	case bytes.Contains(value, []byte("PRIVATE KEY")):
		return errors.New("it is a private key; put the public one there, and consider the private one as lost")
	case bytes.Contains(value, []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----")):
		return k.parsePGP(name, value)
	}
	return k.parseSSH(name, string(value))
}

func (k *Keys) parsePGP(name string, value []byte) error {
	for len(bytes.TrimSpace(value)) > 0 {
		begin := bytes.Index(value, []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----"))
		if begin < 0 {
			return nil
		}
		block := value[begin:]
		end := bytes.Index(block, []byte("-----END PGP PUBLIC KEY BLOCK-----"))
		if end < 0 {
			return errors.New("its PGP key block has no end")
		}
		end += len("-----END PGP PUBLIC KEY BLOCK-----")
		ring, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(block[:end]))
		if err != nil {
			return fmt.Errorf("read PGP key: %w", err)
		}
		for _, entity := range ring {
			k.pgp = append(k.pgp, pgpKey{name: name, entity: entity})
		}
		value = block[end:]
	}
	return nil
}

func (k *Keys) parseSSH(name, value string) error {
	number := 0
	for line := range strings.Lines(value) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, err := parseSigner(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
		key.name = name
		k.ssh = append(k.ssh, key)
	}
	return nil
}

// parseSigner reads a line: principals and options, if any, then the kind of key, the key and a comment.
func parseSigner(line string) (sshKey, error) {
	words := fields(line)
	at := slices.IndexFunc(words, isKind)
	if at < 0 || at+1 >= len(words) || at > 2 {
		return sshKey{}, errors.New("it is neither a PGP public key block nor an SSH public key")
	}
	key, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(strings.Join(words[at:], " ")))
	if err != nil {
		return sshKey{}, fmt.Errorf("read SSH key: %w", err)
	}
	if _, certificate := key.(*ssh.Certificate); certificate {
		return sshKey{}, errors.New("SSH certificates are not supported; put the key itself there")
	}
	out := sshKey{wire: key.Marshal(), principals: comment}
	for _, word := range words[:at] {
		if !isOptions(word) {
			out.principals = word
			continue
		}
		if err := checkOptions(word); err != nil {
			return sshKey{}, err
		}
	}
	return out, nil
}

func isKind(word string) bool {
	return strings.HasPrefix(word, "ssh-") || strings.HasPrefix(word, "ecdsa-sha2-") || strings.HasPrefix(word, "sk-")
}

// fields splits at blanks that are not in quotes.
func fields(line string) []string {
	quoted := false
	return strings.FieldsFunc(line, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && (r == ' ' || r == '\t')
	})
}

func isOptions(word string) bool {
	name, _, valued := strings.Cut(strings.ToLower(word), "=")
	return valued || name == "cert-authority"
}

// checkOptions accepts a restriction to Git's namespace, and nothing whose meaning would be lost.
func checkOptions(word string) error {
	namespaces, found := strings.CutPrefix(word, "namespaces=")
	if !found || strings.Contains(word, ",cert-authority") || strings.Contains(word, ",valid-") {
		return fmt.Errorf("the option %.40q is not supported; only namespaces is", word)
	}
	if !slices.Contains(strings.Split(strings.Trim(namespaces, `"`), ","), gitNamespace) {
		return fmt.Errorf("the key is for the namespaces %.40s, not for git", namespaces)
	}
	return nil
}
