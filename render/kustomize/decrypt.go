package kustomize

import (
	"bytes"
	"errors"
	"path"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway.dev/slipway/render/decrypt"
)

// clearRoot is where kustomize sees files in clear: under their own path they stay encrypted, because a ConfigMap may be
// made of them, too.
const clearRoot = "/clear"

// decrypt opens the encrypted documents of a file, in place. Their lines stay what they are.
func (s *scan) decrypt(name string, documents []document) error {
	roots, line := rootsOf(documents)
	if line == 0 {
		return nil
	}
	s.sealed[name] = true
	if err := s.keys.Nodes(roots); err != nil {
		return sealedFile(name, line, err)
	}
	return nil
}

// rootsOf returns the roots of documents, and the line of the first that is encrypted; 0 when none is.
func rootsOf(documents []document) (roots []*yaml.Node, line int) {
	for _, d := range documents {
		roots = append(roots, d.root)
		if line == 0 && decrypt.Encrypted(d.root) {
			line = d.root.Line
		}
	}
	return roots, line
}

// clearPatch returns the path under which kustomize finds an encrypted patch in clear.
func (s *scan) clearPatch(name string, documents []document) (string, error) {
	roots, _ := rootsOf(documents)
	text, err := decrypt.Emit(roots)
	if err != nil {
		return "", sealedFile(name, 0, err)
	}
	return s.showClear(name, text), nil
}

func (s *scan) showClear(name string, text []byte) string {
	shown := path.Join(clearRoot, name)
	s.jail.extra[shown] = text
	return shown
}

// inputFile opens a file of any format that a Secret is generated from, and returns the path under which kustomize finds
// it in clear; empty when it is not encrypted.
func (s *scan) inputFile(name string) (string, error) {
	content, err := s.jail.read(name)
	if err != nil {
		return "", err
	}
	clear, err := s.keys.File(name, content)
	if err != nil {
		return "", sealedFile(name, 0, err)
	}
	if bytes.Equal(clear, content) {
		return "", nil
	}
	return s.showClear(name, clear), nil
}

func sealedFile(name string, line int, err error) error {
	var refusal *decrypt.Error
	if !errors.As(err, &refusal) {
		return err
	}
	return &Error{File: name, Line: line, Problem: refusal.Problem, Remedy: refusal.Remedy}
}
