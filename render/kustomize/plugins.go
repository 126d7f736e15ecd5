package kustomize

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/resid"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// below is the jail seen from a directory, for the one function of kustomize that reads relative paths.
type below struct {
	filesys.FileSystem
	dir string
}

// ReadFile reads a path relative to the directory.
func (b below) ReadFile(name string) ([]byte, error) {
	return b.FileSystem.ReadFile(path.Join(b.dir, name)) //nolint:wrapcheck // passed through to kustomize
}

// plugins allows the transformers, generators and validators that are part of kustomize and nothing else.
func (s *scan) plugins(m mention, k *types.Kustomization) error {
	for _, value := range slices.Concat(k.Generators, k.Transformers, k.Validators) {
		documents, err := s.pluginDocuments(m, value)
		if err != nil {
			return err
		}
		for _, d := range documents {
			if err := checkPlugin(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// pluginDocuments returns a plugin's configuration, which is a file or stands in the kustomization itself.
func (s *scan) pluginDocuments(m mention, value string) ([]document, error) {
	if inline, err := parse(m.file, []byte(value)); err == nil && len(inline) > 0 && inline[0].root.Kind == yaml.MappingNode {
		return inline, nil
	}
	_, documents, err := s.yamlFile(m, value)
	return documents, err
}

// fileKeys are the fields of built-in plugins that name files.
var fileKeys = []string{"path", "paths", "files", "envs", "env"}

func checkPlugin(d document) error {
	kind := text(d.root, "kind")
	refuse := func(problem string) error {
		return &Error{File: d.file, Line: d.root.Line, Object: kind, Problem: problem, Remedy: "only the transformers and generators built into kustomize run here"}
	}
	annotations := child(child(d.root, "metadata"), "annotations")
	for _, key := range []string{"config.kubernetes.io/function", "config.k8s.io/function"} {
		if child(annotations, key) != nil {
			return refuse("functions are not run")
		}
	}
	switch {
	case text(d.root, "apiVersion") != "builtin":
		return refuse("plugins are not run")
	case strings.HasPrefix(kind, "HelmChart"):
		return refuse("Helm charts are not rendered")
	}
	return checkAddresses(d, d.root, "")
}

// checkAddresses refuses addresses where a plugin expects files. Paths need no check: the jail holds them.
func checkAddresses(d document, n *yaml.Node, key string) error {
	n = resolved(n)
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if err := checkAddresses(d, n.Content[i+1], n.Content[i].Value); err != nil {
				return err
			}
		}
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if err := checkAddresses(d, item, key); err != nil {
				return err
			}
		}
	case yaml.ScalarNode:
		_, after, _ := strings.Cut(n.Value, "=")
		if slices.Contains(fileKeys, key) && (remote(n.Value) || remote(after)) {
			return &Error{File: d.file, Line: n.Line, Problem: fmt.Sprintf("%q is an address; nothing is fetched while rendering", n.Value), Remedy: "copy it into the source and name the copy"}
		}
	}
	return nil
}

const defaultsFile = overlayRoot + "/defaults.yaml"

// configurations checks transformer configurations, takes out of them what we do ourselves, and adds our own where the
// kustomization needs it.
func (s *scan) configurations(m mention, k *types.Kustomization) error {
	for _, value := range k.Crds {
		if _, _, err := s.yamlFile(m, value); err != nil {
			return err
		}
	}
	for _, value := range k.Configurations {
		name, documents, err := s.yamlFile(m, value)
		if err != nil {
			return err
		}
		if err := s.configuration(name, documents); err != nil {
			return err
		}
	}
	if s.needsDefaults(k) {
		k.Configurations = append([]string{defaultsFile}, k.Configurations...)
	}
	return nil
}

// needsDefaults tells whether a kustomization changes fields that only the built-in configuration knows. All objects that it
// can change are read by then. Kustomize takes long to merge a configuration into its own.
func (s *scan) needsDefaults(k *types.Kustomization) bool {
	if k.Namespace == "" && len(k.Images) == 0 {
		return false
	}
	return s.kindChanges || k.Namespace != "" && s.kinds["ClusterVirtualImage"] ||
		len(k.Images) > 0 && (s.kinds["ClusterVirtualImage"] || s.kinds["VirtualImage"] || s.kinds["VirtualDisk"])
}

// nameReference is a row of a transformer configuration.
type nameReference struct {
	resid.Gvk `json:",inline"`
	Fields    []types.FieldSpec `json:"fieldSpecs"`
}

// configuration shows kustomize a configuration file without the name references that we follow ourselves: what is
// followed twice may be renamed twice.
func (s *scan) configuration(name string, documents []document) error {
	if _, done := s.jail.extra[absolute(name)]; done || len(documents) == 0 {
		return nil
	}
	fault := func(err error) error {
		return &Error{File: name, Line: documents[0].root.Line, Problem: "is not a transformer configuration: " + err.Error()}
	}
	var all map[string]any
	var own struct {
		NameReference []nameReference `json:"nameReference"`
	}
	value, err := plainValue(documents[0].root)
	if err != nil {
		return fault(err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fault(err)
	}
	if err := errors.Join(json.Unmarshal(text, &all), json.Unmarshal(text, &own)); err != nil {
		return fault(err)
	}
	delete(all, "nameReference")
	if rest := withoutKnown(own.NameReference); len(rest) > 0 {
		all["nameReference"] = rest
		s.references = true
	}
	if text, err = json.Marshal(all); err != nil {
		return fmt.Errorf("encode transformer configuration: %w", err)
	}
	s.jail.extra[absolute(name)] = text
	return nil
}

func withoutKnown(references []nameReference) []nameReference {
	var rest []nameReference
	for _, r := range references {
		fields := slices.DeleteFunc(slices.Clone(r.Fields), func(f types.FieldSpec) bool { return known(r.Gvk, f) })
		if len(fields) > 0 {
			rest = append(rest, nameReference{r.Gvk, fields})
		}
	}
	return rest
}
