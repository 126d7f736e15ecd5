package kustomize

import (
	"bytes"
	"encoding/json"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

// directive is the key by which a merge patch deletes.
const directive = "$patch"

// patch checks one patch and makes of it what kustomize shall see.
func (s *scan) patch(m mention, p *types.Patch) error {
	s.kindChanges = s.kindChanges || p.Options != nil && p.Options.AllowKindChange
	if p.Path == "" {
		s.removals = s.removals || strings.Contains(p.Patch, directive)
		*p = asJSON(*p)
		return nil
	}
	name, documents, err := s.yamlFile(m, p.Path)
	for _, d := range documents {
		s.removals = s.removals || findScalar(d.root, directive) != nil
	}
	switch {
	case err != nil:
		return err
	case s.sealed[name]:
		p.Path, err = s.clearPatch(name, documents)
		return err
	case len(documents) != 1 || documents[0].root.Kind != yaml.SequenceNode:
		return nil
	}
	content, err := s.jail.read(name)
	if err != nil {
		return s.explain(m, p.Path, err)
	}
	if inline := asJSON(types.Patch{Patch: string(content), Target: p.Target, Options: p.Options}); inline.Patch != string(content) {
		*p = inline
	}
	return nil
}

// asJSON writes a JSON patch in JSON, which kustomize takes as it is: it would read YAML anew for each object. What is no
// JSON patch, or has no target, stays what it is, so that kustomize quotes it as it was written.
func asJSON(p types.Patch) types.Patch {
	if p.Target == nil || strings.HasPrefix(strings.TrimSpace(p.Patch), "[") {
		return p
	}
	text, err := sigsyaml.YAMLToJSON([]byte(p.Patch))
	if err != nil {
		return p
	}
	var operations []map[string]any
	var lines bytes.Buffer
	if json.Unmarshal(text, &operations) != nil || len(operations) == 0 || json.Indent(&lines, text, "", " ") != nil {
		return p
	}
	p.Patch = lines.String()
	return p
}
