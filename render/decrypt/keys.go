package decrypt

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/ProtonMail/go-crypto/openpgp"
	pgparmor "github.com/ProtonMail/go-crypto/openpgp/armor"
)

// The endings of the keys of a Secret that hold private keys.
const (
	AgeSuffix = ".agekey"
	PGPSuffix = ".asc"
)

// Keys are private keys. Keys that are nil open nothing.
type Keys struct {
	age    []age.Identity
	pgp    openpgp.EntityList
	digest string
}

// ParseKeys reads the private keys of a Secret: age identities from *.agekey, armored PGP keys from *.asc. What has
// another name is not looked at.
func ParseKeys(data map[string][]byte) (*Keys, error) {
	k := &Keys{}
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(data)) {
		var err error
		switch {
		case strings.HasSuffix(name, AgeSuffix):
			err = k.addAge(data[name])
		case strings.HasSuffix(name, PGPSuffix):
			err = k.addPGP(data[name])
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", name, err)
		}
		fmt.Fprintf(sum, "%q %d\n%s", name, len(data[name]), data[name])
	}
	if len(k.age)+len(k.pgp) == 0 {
		return nil, &Error{Problem: "there is no private key", Remedy: "put age keys under names that end in " + AgeSuffix + " and armored PGP keys under names that end in " + PGPSuffix}
	}
	k.digest = hex.EncodeToString(sum.Sum(nil))
	return k, nil
}

// Digest names the keys. It is the same for the same keys, and empty for none.
func (k *Keys) Digest() string {
	if k == nil {
		return ""
	}
	return k.digest
}

func (k *Keys) addAge(text []byte) error {
	identities, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return &Error{Problem: "is not an age identity", Remedy: "store what age-keygen prints: a line that begins with AGE-SECRET-KEY-1"}
	}
	k.age = append(k.age, identities...)
	return nil
}

func (k *Keys) addPGP(text []byte) error {
	entities, err := openpgp.ReadArmoredKeyRing(bytes.NewReader(text))
	if err != nil {
		return &Error{Problem: "is not an armored PGP key", Remedy: "store what gpg --export-secret-keys --armor prints"}
	}
	for _, e := range entities {
		switch {
		case e.PrivateKey == nil:
			return &Error{Problem: "holds a public PGP key", Remedy: "store what gpg --export-secret-keys --armor prints"}
		case e.PrivateKey.Encrypted:
			return &Error{Problem: "is a PGP key with a pass phrase", Remedy: "export it without one; the Secret is its protection"}
		}
		k.pgp = append(k.pgp, e)
	}
	return nil
}

// maxDataKey is more than a data key or a share of one is long.
const maxDataKey = 4 << 10

// open decrypts one data key with whichever of the keys fits.
func (k *Keys) openAge(text string) ([]byte, bool) {
	if k == nil || len(k.age) == 0 {
		return nil, false
	}
	plain, err := age.Decrypt(armor.NewReader(strings.NewReader(text)), k.age...)
	if err != nil {
		return nil, false
	}
	key, err := io.ReadAll(io.LimitReader(plain, maxDataKey))
	return key, err == nil
}

func (k *Keys) openPGP(text string) ([]byte, bool) {
	if k == nil || len(k.pgp) == 0 {
		return nil, false
	}
	block, err := pgparmor.Decode(strings.NewReader(text))
	if err != nil {
		return nil, false
	}
	message, err := openpgp.ReadMessage(block.Body, k.pgp, nil, nil)
	if err != nil {
		return nil, false
	}
	key, err := io.ReadAll(io.LimitReader(message.UnverifiedBody, maxDataKey))
	return key, err == nil
}

// dataKey finds the key that a file's values are encrypted with.
func (k *Keys) dataKey(m metadata) ([]byte, error) {
	groups := m.groups()
	parts := make([][]byte, 0, len(groups))
	for _, g := range groups {
		if part, opened := k.group(g); opened {
			parts = append(parts, part)
		}
	}
	needed := 1
	if len(groups) > 1 {
		needed = cmp.Or(m.ShamirThreshold, len(groups))
	}
	if len(parts) < needed || len(parts) == 0 {
		return nil, k.locked(groups)
	}
	if len(groups) == 1 {
		return parts[0], nil
	}
	return combine(parts)
}

func (k *Keys) group(g keyGroup) ([]byte, bool) {
	for _, one := range g.Age {
		if key, opened := k.openAge(one.Enc); opened {
			return key, true
		}
	}
	for _, one := range g.PGP {
		if key, opened := k.openPGP(one.Enc); opened {
			return key, true
		}
	}
	return nil, false
}

// locked says for whom a file is encrypted when none of the keys opens it.
func (k *Keys) locked(groups []keyGroup) error {
	var recipients, services []string
	for _, g := range groups {
		for _, one := range g.Age {
			recipients = append(recipients, "age "+one.Recipient)
		}
		for _, one := range g.PGP {
			recipients = append(recipients, "PGP "+one.FP)
		}
		services = append(services, g.services()...)
	}
	slices.Sort(services)
	switch {
	case len(recipients) == 0 && len(services) == 0:
		return damaged("it names no key")
	case len(recipients) == 0:
		return &Error{
			Problem: "is encrypted for " + strings.Join(slices.Compact(services), ", ") + " only, and key services are not asked",
			Remedy:  "add an age or PGP recipient with sops updatekeys",
		}
	}
	return &Error{
		Problem: "cannot be decrypted with the keys of spec.decryption: it is encrypted for " + strings.Join(recipients, ", "),
		Remedy:  "put one of their private keys into the Secret, or add a recipient with sops updatekeys",
	}
}
