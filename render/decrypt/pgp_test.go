package decrypt

import (
	"bytes"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
)

// written armors what a function writes.
func written(t *testing.T, kind string, write func(*openpgp.Entity, *bytes.Buffer) error) []byte {
	t.Helper()
	entity, err := openpgp.NewEntity("somebody", "", "somebody@example.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	var raw, out bytes.Buffer
	if err := write(entity, &raw); err != nil {
		t.Fatal(err)
	}
	w, err := armor.Encode(&out, kind, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(raw.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func publicKey(t *testing.T) []byte {
	return written(t, openpgp.PublicKeyType, func(e *openpgp.Entity, to *bytes.Buffer) error { return e.Serialize(to) })
}

func lockedKey(t *testing.T) []byte {
	return written(t, openpgp.PrivateKeyType, func(e *openpgp.Entity, to *bytes.Buffer) error {
		if err := e.EncryptPrivateKeys([]byte("hunter2"), nil); err != nil {
			return err
		}
		return e.SerializePrivateWithoutSigning(to, nil)
	})
}
