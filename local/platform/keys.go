package platform

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"
)

// sshKey returns the public half, in authorized_keys form, of the key at path,
// making the pair first when there is none.
func sshKey(path string) (string, error) {
	private, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		private, err = makeSSHKey(path)
	}
	if err != nil {
		return "", fmt.Errorf("SSH key %s: %w", path, err)
	}
	signer, err := ssh.ParsePrivateKey(private)
	if err != nil {
		return "", fmt.Errorf("parse SSH key %s: %w; remove it to have a new one made", path, err)
	}
	return string(ssh.MarshalAuthorizedKey(signer.PublicKey())), nil
}

func makeSSHKey(path string) ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(key, "slipway demo")
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	private := pem.EncodeToMemory(block)
	if err := os.WriteFile(path, private, 0o600); err != nil {
		return nil, fmt.Errorf("write: %w", err)
	}
	return private, nil
}
