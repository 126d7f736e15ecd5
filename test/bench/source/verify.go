package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"golang.org/x/crypto/ssh"

	"slipway.dev/slipway/sources/verify"
)

const unsigned = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@example.com> 1 +0000\ncommitter A <a@example.com> 1 +0000\n\nchange\n"

// verifyFigures verify signatures of each kind.
func verifyFigures(_ context.Context, o options) ([]figure, error) {
	var figures []figure
	for name, sign := range map[string]func() (key []byte, signature string, err error){"PGP, RSA 4096": signPGP, "SSH, Ed25519": signSSH} {
		key, signature, err := sign()
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		took, err := check(key, commit(signature), o.checks)
		if err != nil {
			return nil, err
		}
		figures = append(figures, atMost("verify a commit: "+name, took.Seconds()*1000, "ms CPU", 5, fmt.Sprintf("mean of %d, keys parsed each time", o.checks)))
	}
	return figures, nil
}

func commit(signature string) []byte {
	head, message, _ := strings.Cut(unsigned, "\n\n")
	return []byte(head + "\ngpgsig " + strings.ReplaceAll(strings.TrimSpace(signature), "\n", "\n ") + "\n\n" + message)
}

func check(key, raw []byte, times int) (time.Duration, error) {
	started := cpu()
	for range times {
		keys, err := verify.ParseKeys(map[string][]byte{"team": key})
		if err != nil {
			return 0, err
		}
		if _, err := keys.Commit(raw); err != nil {
			return 0, err
		}
	}
	return (cpu() - started) / time.Duration(times), nil
}

func signPGP() (key []byte, signature string, err error) {
	e, err := openpgp.NewEntity("a", "", "a@example.com", &packet.Config{RSABits: 4096})
	if err != nil {
		return nil, "", fmt.Errorf("make key: %w", err)
	}
	var public, signed bytes.Buffer
	w, err := armor.Encode(&public, openpgp.PublicKeyType, nil)
	if err != nil {
		return nil, "", fmt.Errorf("encode key: %w", err)
	}
	if err := errors.Join(e.Serialize(w), w.Close(), openpgp.ArmoredDetachSign(&signed, e, strings.NewReader(unsigned), nil)); err != nil {
		return nil, "", err
	}
	return public.Bytes(), signed.String(), nil
}

func signSSH() (key []byte, signature string, err error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", fmt.Errorf("make key: %w", err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, "", fmt.Errorf("use key: %w", err)
	}
	sum := sha512.Sum512([]byte(unsigned))
	magic := [6]byte([]byte("SSHSIG"))
	signed, err := signer.Sign(rand.Reader, ssh.Marshal(struct {
		Magic                     [6]byte
		Namespace, Reserved, Hash string
		Sum                       []byte
	}{magic, "git", "", "sha512", sum[:]}))
	if err != nil {
		return nil, "", fmt.Errorf("sign: %w", err)
	}
	blob := ssh.Marshal(struct {
		Magic                     [6]byte
		Version                   uint32
		Key                       []byte
		Namespace, Reserved, Hash string
		Signature                 []byte
	}{magic, 1, signer.PublicKey().Marshal(), "git", "", "sha512", ssh.Marshal(signed)})
	return ssh.MarshalAuthorizedKey(signer.PublicKey()), string(pem.EncodeToMemory(&pem.Block{Type: "SSH SIGNATURE", Bytes: blob})), nil
}
