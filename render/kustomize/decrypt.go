package kustomize

import (
	"bytes"
	"errors"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"slipway.dev/slipway/render/decrypt"
)

// decrypt opens the encrypted documents of a file, in place, and shows kustomize the file in clear.
func (s *scan) decrypt(name string, documents []document) error {
	var roots []*yaml.Node
	line := 0
	for _, d := range documents {
		roots = append(roots, d.root)
		if line == 0 && decrypt.Encrypted(d.root) {
			line = d.root.Line
		}
	}
	if line == 0 {
		return nil
	}
	if err := s.keys.Nodes(roots); err != nil {
		return sealedFile(name, line, err)
	}
	text, err := decrypt.Emit(roots)
	if err != nil {
		return sealedFile(name, line, err)
	}
	s.jail.extra[absolute(name)] = text
	return nil
}

// decryptFile does the same for a file of any format that a Secret is generated from.
func (s *scan) decryptFile(name string) error {
	content, err := s.jail.read(name)
	if err != nil {
		return err
	}
	clear, err := s.keys.File(name, content)
	if err != nil {
		return sealedFile(name, 0, err)
	}
	if !bytes.Equal(clear, content) {
		s.jail.extra[absolute(name)] = clear
	}
	return nil
}

func sealedFile(name string, line int, err error) error {
	var refusal *decrypt.Error
	if !errors.As(err, &refusal) {
		return err
	}
	return &Error{File: name, Line: line, Problem: refusal.Problem, Remedy: refusal.Remedy}
}
