package cosign

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/verify"
	sig "github.com/sigstore/sigstore/pkg/signature"
)

// simpleType is what the payload of a signature says it is.
const simpleType = "cosign container image signature"

// payload is a simple signing payload. Which repository it was made in says nothing about where the artifact may lie now:
// the digest is what binds.
type payload struct {
	Critical struct {
		Identity struct {
			Reference string `json:"docker-reference"`
		} `json:"identity"`
		Image struct {
			Digest string `json:"docker-manifest-digest"`
		} `json:"image"`
		Type string `json:"type"`
	} `json:"critical"`
	Optional map[string]any `json:"optional"`
}

// speaksOf fails unless a payload is about an artifact.
func speaksOf(raw []byte, subject ocispec.Descriptor) error {
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return errors.New("the signed payload is not JSON")
	}
	if p.Critical.Type != simpleType {
		return fmt.Errorf("the signed payload is a %q, not a %q", p.Critical.Type, simpleType)
	}
	if got := digest.Digest(p.Critical.Image.Digest); got != subject.Digest {
		return fmt.Errorf("the signature is for %s", got)
	}
	return nil
}

func (v *Verifier) simpleByKey(s signature, subject ocispec.Descriptor) (string, error) {
	for _, key := range v.keys {
		verifier, err := sig.LoadVerifier(key.Public, crypto.SHA256)
		if err != nil {
			return "", fmt.Errorf("use key %s: %w", key.Name, err)
		}
		if verifier.VerifySignature(bytes.NewReader(s.signature), bytes.NewReader(s.payload)) == nil {
			return "key " + key.Name, speaksOf(s.payload, subject)
		}
	}
	return "", errors.New("it is by no known key")
}

// simpleByIdentity verifies a payload with the certificate and log entry of its annotations.
func (v *Verifier) simpleByIdentity(s signature, subject ocispec.Descriptor) (string, error) {
	if err := speaksOf(s.payload, subject); err != nil {
		return "", err
	}
	bundle, err := s.asBundle()
	if err != nil {
		return "", err
	}
	return v.byIdentity(bundle, verify.WithArtifact(bytes.NewReader(s.payload)))
}

// asBundle writes a simple signature in the form of a sigstore bundle.
func (s signature) asBundle() (*protobundle.Bundle, error) {
	block, _ := pem.Decode([]byte(s.annotations[certificateAnnotation]))
	if block == nil {
		return nil, errors.New("it has no certificate; a signature by a key needs the key in secretRef")
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fmt.Errorf("its certificate cannot be read: %w", err)
	}
	sum := digest.FromBytes(s.payload)
	raw, err := hex.DecodeString(sum.Encoded())
	if err != nil {
		return nil, fmt.Errorf("write digest %s: %w", sum, err)
	}
	material := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: &protocommon.X509CertificateChain{
			Certificates: []*protocommon.X509Certificate{{RawBytes: block.Bytes}},
		}},
	}
	if material.TlogEntries, err = s.logEntries(); err != nil {
		return nil, err
	}
	if material.TimestampVerificationData, err = s.timestamps(); err != nil {
		return nil, err
	}
	return &protobundle.Bundle{
		MediaType:            "application/vnd.dev.sigstore.bundle+json;version=0.1",
		VerificationMaterial: material,
		Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: raw},
			Signature:     s.signature,
		}},
	}, nil
}

// logEntry is what cosign writes down of an entry in a transparency log.
type logEntry struct {
	SignedEntryTimestamp []byte `json:"SignedEntryTimestamp"`
	Payload              struct {
		Body           string `json:"body"`
		IntegratedTime int64  `json:"integratedTime"`
		LogIndex       int64  `json:"logIndex"`
		LogID          string `json:"logID"`
	} `json:"Payload"`
}

func (s signature) logEntries() ([]*protorekor.TransparencyLogEntry, error) {
	text := s.annotations[rekorAnnotation]
	if text == "" {
		return nil, nil
	}
	var e logEntry
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return nil, errors.New("its log entry is not JSON")
	}
	body, err := base64.StdEncoding.DecodeString(e.Payload.Body)
	if err != nil {
		return nil, errors.New("the body of its log entry is not base64")
	}
	var kind struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal(body, &kind); err != nil {
		return nil, errors.New("the body of its log entry is not JSON")
	}
	id, err := hex.DecodeString(e.Payload.LogID)
	if err != nil {
		return nil, errors.New("the log of its log entry has no hexadecimal name")
	}
	return []*protorekor.TransparencyLogEntry{{
		LogIndex:          e.Payload.LogIndex,
		LogId:             &protocommon.LogId{KeyId: id},
		KindVersion:       &protorekor.KindVersion{Kind: kind.Kind, Version: kind.APIVersion},
		IntegratedTime:    e.Payload.IntegratedTime,
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: e.SignedEntryTimestamp},
		CanonicalizedBody: body,
	}}, nil
}

func (s signature) timestamps() (*protobundle.TimestampVerificationData, error) {
	text := s.annotations[timestampAnnotation]
	if text == "" {
		return nil, nil
	}
	var t struct {
		SignedRFC3161Timestamp []byte `json:"SignedRFC3161Timestamp"`
	}
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, errors.New("its timestamp is not JSON")
	}
	return &protobundle.TimestampVerificationData{Rfc3161Timestamps: []*protocommon.RFC3161SignedTimestamp{{SignedTimestamp: t.SignedRFC3161Timestamp}}}, nil
}
