package cosign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	specs "github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	sig "github.com/sigstore/sigstore/pkg/signature"
)

// ErrPassword says that a private key is encrypted and the password does not open it.
var ErrPassword = errors.New("the password does not open the private key")

// Signing is a registry that signatures are pushed to. *oci.Repository is one.
type Signing interface {
	Registry
	PushBlob(ctx context.Context, mediaType string, raw []byte) (ocispec.Descriptor, error)
	PushManifest(ctx context.Context, mediaType string, raw []byte, tag string) error
}

// ParsePrivateKey reads an ECDSA P-256 key: as `cosign generate-key-pair` writes it, encrypted with a password, or as
// OpenSSL does.
func ParsePrivateKey(raw []byte, password func() ([]byte, error)) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New("the private key is not in PEM form")
	}
	der := block.Bytes
	switch block.Type {
	case "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY":
		secret, err := password()
		if err != nil {
			return nil, err
		}
		if der, err = encrypted.Decrypt(der, secret); err != nil {
			return nil, ErrPassword
		}
	case "EC PRIVATE KEY":
		key, err := x509.ParseECPrivateKey(der)
		if err != nil {
			return nil, errors.New("the private key cannot be read")
		}
		return p256(key)
	case "PRIVATE KEY":
	default:
		return nil, fmt.Errorf("a %q is no private key that is known; make one with `cosign generate-key-pair`", block.Type)
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("the private key cannot be read")
	}
	return p256(key)
}

func p256(key any) (*ecdsa.PrivateKey, error) {
	k, ok := key.(*ecdsa.PrivateKey)
	if !ok || k.Curve != elliptic.P256() {
		return nil, errors.New("the private key is not ECDSA P-256")
	}
	return k, nil
}

// Sign adds a signature to those that an artifact has under cosign's tag. A second one by the same key changes nothing.
func Sign(ctx context.Context, registry Signing, reference string, subject ocispec.Descriptor, key *ecdsa.PrivateKey) error {
	manifest, err := signaturesOf(ctx, registry, subject)
	if err != nil {
		return err
	}
	raw, err := payloadFor(reference, subject)
	if err != nil {
		return err
	}
	layer, err := registry.PushBlob(ctx, SimpleSigningMediaType, raw)
	if err != nil {
		return fmt.Errorf("push the payload: %w", err)
	}
	if signed(manifest, layer, raw, key) {
		return nil
	}
	signer, err := sig.LoadECDSASigner(key, crypto.SHA256)
	if err != nil {
		return fmt.Errorf("use the private key: %w", err)
	}
	sum, err := signer.SignMessage(bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	layer.Annotations = map[string]string{signatureAnnotation: base64.StdEncoding.EncodeToString(sum)}
	manifest.Layers = append(manifest.Layers, layer)
	return push(ctx, registry, subject, manifest)
}

// payloadFor writes a payload as cosign does.
func payloadFor(reference string, subject ocispec.Descriptor) ([]byte, error) {
	var p payload
	p.Critical.Identity.Reference = reference
	p.Critical.Image.Digest = subject.Digest.String()
	p.Critical.Type = simpleType
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write the payload: %w", err)
	}
	return raw, nil
}

// signaturesOf reads the manifest that holds an artifact's signatures; a new one when there is none.
func signaturesOf(ctx context.Context, registry Signing, subject ocispec.Descriptor) (ocispec.Manifest, error) {
	manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest}
	raw, _, err := registry.Manifest(ctx, TagOf(subject))
	switch {
	case err == nil:
		if err := json.Unmarshal(raw, &manifest); err != nil {
			return manifest, fmt.Errorf("read the signatures that are there: %w", err)
		}
	case !registry.Missing(err):
		return manifest, fmt.Errorf("read the signatures that are there: %w", err)
	}
	return manifest, nil
}

func signed(manifest ocispec.Manifest, layer ocispec.Descriptor, raw []byte, key *ecdsa.PrivateKey) bool {
	verifier, err := sig.LoadECDSAVerifier(&key.PublicKey, crypto.SHA256)
	if err != nil {
		return false
	}
	for _, l := range manifest.Layers {
		sum, err := base64.StdEncoding.DecodeString(l.Annotations[signatureAnnotation])
		if err == nil && l.Digest == layer.Digest && verifier.VerifySignature(bytes.NewReader(sum), bytes.NewReader(raw)) == nil {
			return true
		}
	}
	return false
}

// config is the image configuration that cosign's readers expect, with a digest for each layer.
type config struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	Config       struct{} `json:"config"`
	RootFS       struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

func push(ctx context.Context, registry Signing, subject ocispec.Descriptor, manifest ocispec.Manifest) error {
	var c config
	c.RootFS.Type = "layers"
	for _, l := range manifest.Layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, l.Digest.String())
	}
	raw, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	if manifest.Config, err = registry.PushBlob(ctx, ocispec.MediaTypeImageConfig, raw); err != nil {
		return fmt.Errorf("push the configuration: %w", err)
	}
	if raw, err = json.Marshal(manifest); err != nil {
		return fmt.Errorf("write the manifest: %w", err)
	}
	if err := registry.PushManifest(ctx, ocispec.MediaTypeImageManifest, raw, TagOf(subject)); err != nil {
		return fmt.Errorf("push the signature: %w", err)
	}
	return nil
}
